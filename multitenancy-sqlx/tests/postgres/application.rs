//! An application's own tables beside the framework's, in each isolation: its migrations have their own histories,
//! and its SQL names no tenant.

use multitenancy_core::{ControlContext, Isolation, TenantContext, UnitOfWork};
use multitenancy_sqlx::{PgStore, PgStoreBuilder};
use multitenancy_testkit::{Harness, fixtures};
use sqlx::{Connection, PgConnection};

use crate::{
    migrator::migrations,
    server::{Server, url},
};

const ISOLATIONS: [Isolation; 3] = [Isolation::Shared, Isolation::Schema, Isolation::Database];

const PROJECTS: &str = "CREATE TABLE projects (id bigint PRIMARY KEY, name text NOT NULL UNIQUE); \
                        SELECT multitenancy.protect('projects')";
const TASKS: &str = "CREATE TABLE tasks (tenant_id uuid NOT NULL, id bigint, project bigint NOT NULL, \
                     PRIMARY KEY (tenant_id, id), \
                     FOREIGN KEY (tenant_id, project) REFERENCES projects (tenant_id, id) ON DELETE CASCADE); \
                     SELECT multitenancy.protect('tasks')";
const PLANS: &str = "CREATE TABLE plans (name text PRIMARY KEY, price bigint NOT NULL); \
                     SELECT multitenancy.protect_control('plans')";

fn builder(server: &Server, tenant: &[&'static str]) -> PgStoreBuilder {
    PgStore::builder(&url(&server.last()))
        .control_migrations(migrations(&[PLANS]))
        .tenant_migrations(migrations(tenant))
}

/// An application's store in its own database.
async fn application(tenant: &[&'static str]) -> (Server, PgStore) {
    let server = Server::new(Isolation::Shared);
    drop(server.open().await);
    let store = builder(&server, tenant).connect().await.unwrap();
    store.migrate().await.unwrap();
    (server, store)
}

async fn tenant(store: &PgStore, slug: &str, isolation: Isolation) -> TenantContext {
    fixtures::context(&fixtures::provisioned_in(store, slug, isolation).await)
}

async fn write(store: &PgStore, context: &TenantContext, id: i64, name: &str) {
    let mut tx = store.begin(context).await.unwrap();
    sqlx::query("INSERT INTO projects (id, name) VALUES ($1, $2)")
        .bind(id)
        .bind(name)
        .execute(tx.conn())
        .await
        .unwrap();
    Box::new(tx).commit().await.unwrap();
}

async fn names(store: &PgStore, context: &TenantContext) -> Vec<String> {
    let mut tx = store.read(context).await.unwrap();
    sqlx::query_scalar("SELECT name FROM projects ORDER BY id").fetch_all(tx.conn()).await.unwrap()
}

/// Two tenants of each isolation with the same keys and the same unique names: each sees, changes and deletes its own.
#[tokio::test]
async fn application_rows_belong_to_one_tenant() {
    let (_server, store) = application(&[PROJECTS, TASKS]).await;
    let mut tenants = Vec::new();
    for isolation in ISOLATIONS {
        for which in ["a", "b"] {
            tenants.push(tenant(&store, &format!("{isolation}-{which}"), isolation).await);
        }
    }
    for context in &tenants {
        write(&store, context, 1, "Rocket").await;
        write(&store, context, 2, context.tenant().slug.as_str()).await;
        let mut tx = store.begin(context).await.unwrap();
        sqlx::query("INSERT INTO tasks (id, project) VALUES (1, 1)").execute(tx.conn()).await.unwrap();
        Box::new(tx).commit().await.unwrap();
    }
    for context in &tenants {
        assert_eq!(names(&store, context).await, ["Rocket", context.tenant().slug.as_str()]);
    }
    let (first, others) = tenants.split_first().unwrap();
    let mut tx = store.begin(first).await.unwrap();
    let deleted = sqlx::query("DELETE FROM projects").execute(tx.conn()).await.unwrap().rows_affected();
    let tasks: i64 = sqlx::query_scalar("SELECT count(*) FROM tasks").fetch_one(tx.conn()).await.unwrap();
    Box::new(tx).commit().await.unwrap();
    assert_eq!((deleted, tasks), (2, 0));
    for context in others {
        assert_eq!(names(&store, context).await, ["Rocket", context.tenant().slug.as_str()]);
        let mut tx = store.read(context).await.unwrap();
        let tasks: i64 = sqlx::query_scalar("SELECT count(*) FROM tasks").fetch_one(tx.conn()).await.unwrap();
        assert_eq!(tasks, 1, "the deletion of {} went on", first.tenant().slug);
    }
}

/// The control: without its guard, one tenant's rows are visible to another that shares the table.
#[tokio::test]
async fn an_unprotected_table_would_be_seen() {
    let (server, store) = application(&[PROJECTS]).await;
    let acme = tenant(&store, "acme", Isolation::Shared).await;
    let globex = tenant(&store, "globex", Isolation::Shared).await;
    write(&store, &acme, 1, "Rocket").await;
    assert_eq!(names(&store, &globex).await, Vec::<String>::new());
    let mut connection = PgConnection::connect(&url(&server.last())).await.unwrap();
    let disable = "ALTER TABLE tenants.projects DISABLE ROW LEVEL SECURITY";
    sqlx::query(disable).execute(&mut connection).await.unwrap();
    assert_eq!(names(&store, &globex).await, ["Rocket"]);
}

/// The application's tables of the control plane exist, and units inside a tenant see none of them.
#[tokio::test]
async fn tenants_do_not_see_the_control_plane_tables() {
    let (_server, store) = application(&[PROJECTS]).await;
    let mut tx = store.control(&ControlContext::system("test")).await.unwrap();
    sqlx::query("INSERT INTO plans VALUES ('pro', 99)").execute(tx.conn()).await.unwrap();
    Box::new(tx).commit().await.unwrap();
    for isolation in ISOLATIONS {
        let context = tenant(&store, &format!("in-{isolation}"), isolation).await;
        let mut tx = store.begin(&context).await.unwrap();
        let seen: Option<i64> = match sqlx::query_scalar("SELECT count(*) FROM public.plans")
            .fetch_one(tx.conn())
            .await
        {
            Ok(count) => Some(count),
            Err(error) => {
                let code =
                    error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
                assert_eq!(code, "42P01", "{error}");
                None
            }
        };
        // A tenant's own database lacks the table completely.
        assert_eq!(seen, if isolation == Isolation::Database { None } else { Some(0) }, "{isolation}");
    }
    let mut tx = store.read_control(&ControlContext::system("test")).await.unwrap();
    let plans: i64 = sqlx::query_scalar("SELECT count(*) FROM plans").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(plans, 1);
}

/// Each schema has the application's history under sqlx's own name and the framework's beside it. A new migration
/// reaches all tenants, which keep their rows.
#[tokio::test]
async fn histories_are_separate_and_go_on() {
    let (server, store) = application(&[PROJECTS]).await;
    let mut tenants = Vec::new();
    for isolation in ISOLATIONS {
        let context = tenant(&store, &format!("in-{isolation}"), isolation).await;
        write(&store, &context, 1, "Rocket").await;
        tenants.push(context);
    }
    for context in &tenants {
        assert_eq!(histories(&server, context).await, [("_sqlx_migrations".to_owned(), 1)]);
    }
    let next = builder(&server, &[PROJECTS, TASKS]).connect().await.unwrap();
    for context in &tenants {
        assert_eq!(next.begin(context).await.map(drop).unwrap_err().code(), "tenant_upgrading");
    }
    next.migrate().await.unwrap();
    for context in &tenants {
        assert_eq!(names(&next, context).await, ["Rocket"]);
        assert_eq!(histories(&server, context).await, [("_sqlx_migrations".to_owned(), 2)]);
        let mut tx = next.begin(context).await.unwrap();
        sqlx::query("INSERT INTO tasks (id, project) VALUES (1, 1)").execute(tx.conn()).await.unwrap();
    }
}

/// The application's histories in a tenant's place, each with its number of migrations; the framework's history is
/// there too.
async fn histories(server: &Server, context: &TenantContext) -> Vec<(String, i64)> {
    let tenant = context.tenant();
    let own = format!("tenant_{}", tenant.id.as_uuid().simple());
    let (database, schema) = match tenant.isolation {
        Isolation::Shared => (server.last(), "tenants".to_owned()),
        Isolation::Schema => (server.last(), own),
        Isolation::Database => (own, "public".to_owned()),
    };
    let mut connection = PgConnection::connect(&url(&database)).await.unwrap();
    let sql = "SELECT tablename::text, (xpath('/row/count/text()', query_to_xml(format( \
               'SELECT count(*) AS count FROM %I.%I', schemaname, tablename), false, true, '')))[1]::text::bigint \
               FROM pg_tables WHERE schemaname = $1 AND tablename LIKE '%migrations' ORDER BY 1";
    let mut found: Vec<(String, i64)> =
        sqlx::query_as(sql).bind(schema).fetch_all(&mut connection).await.unwrap();
    let frameworks = found.iter().position(|(name, _)| name == "multitenancy_plane_migrations");
    found.remove(frameworks.expect("the framework's history"));
    found
}
