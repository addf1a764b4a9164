//! The state that an application's own statements leave behind, and the place where they act.

use multitenancy_core::{ErrorKind, Isolation, Store};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::fixtures::context;

use crate::{
    migrator::migrations,
    server::url,
    stage::{APPLICATION, Stage, run, value},
};

/// S28: a cursor that outlives its transaction, a channel and the last number of a sequence do not reach the next
/// tenant on the same connection.
#[tokio::test]
async fn s28_nothing_of_a_session_outlives_a_unit() {
    let stage = Stage::new().await;
    let (acme, globex) =
        (stage.tenant("acme", Isolation::Shared).await, stage.tenant("globex", Isolation::Shared).await);
    let store = stage.builder().max_connections(1).connect().await.unwrap();
    let mut tx = store.begin(&context(&acme)).await.unwrap();
    for left in [
        "INSERT INTO projects (name) VALUES ('secret')",
        "INSERT INTO entries (day) VALUES ('2026-01-01')",
        "DECLARE rows CURSOR WITH HOLD FOR SELECT name FROM projects",
        "LISTEN somewhere",
        "SELECT pg_advisory_lock(1)",
        "SET TimeZone TO 'Asia/Tokyo'",
    ] {
        run(tx.conn(), left).await.unwrap();
    }
    tx.commit().await.unwrap();

    let mut tx = store.begin(&context(&globex)).await.unwrap();
    let channels: i64 = value(tx.conn(), "SELECT count(*) FROM pg_listening_channels()").await.unwrap();
    let cursors: i64 = value(tx.conn(), "SELECT count(*) FROM pg_cursors WHERE is_holdable").await.unwrap();
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    let locks: i64 = value(tx.conn(), locks).await.unwrap();
    let zone: String = value(tx.conn(), "SELECT current_setting('TimeZone')").await.unwrap();
    assert_eq!((channels, cursors, locks), (0, 0, 0));
    assert_ne!(zone, "Asia/Tokyo");
    assert!(value::<i64>(tx.conn(), "SELECT lastval()").await.is_err(), "another tenant's number");
}

/// S28: the end of a read-only unit does not wait: the next unit resets what it left.
#[tokio::test]
async fn s28_nothing_of_a_reading_session_outlives_it() {
    let stage = Stage::new().await;
    let (acme, globex) =
        (stage.tenant("acme", Isolation::Shared).await, stage.tenant("globex", Isolation::Shared).await);
    let store = stage.builder().max_connections(1).connect().await.unwrap();
    let mut tx = store.begin(&context(&acme)).await.unwrap();
    run(tx.conn(), "INSERT INTO projects (name) VALUES ('secret')").await.unwrap();
    tx.commit().await.unwrap();
    for next_writes in [false, true] {
        let mut tx = store.read(&context(&acme)).await.unwrap();
        run(tx.conn(), "DECLARE rows CURSOR WITH HOLD FOR SELECT name FROM projects; COMMIT").await.unwrap();
        assert_eq!(
            value::<i64>(tx.conn(), "SELECT count(*) FROM pg_cursors WHERE is_holdable").await.unwrap(),
            1
        );
        drop(tx);
        let context = context(&globex);
        let mut tx =
            if next_writes { store.begin(&context).await } else { store.read(&context).await }.unwrap();
        assert!(run(tx.conn(), "FETCH ALL FROM rows").await.is_err(), "another tenant's rows");
    }
}

/// S27: the application may exchange connections in safe Rust; that does not bring one tenant's rows into another's
/// database.
#[tokio::test]
async fn s27_exchanged_connections_are_noticed() {
    let stage = Stage::new().await;
    let (acme, globex) =
        (stage.tenant("acme", Isolation::Database).await, stage.tenant("globex", Isolation::Database).await);
    let (a, b) = (context(&acme), context(&globex));
    let (mut one, mut other) = (stage.store.read(&a).await.unwrap(), stage.store.read(&b).await.unwrap());
    std::mem::swap(one.conn(), other.conn());
    drop((one, other));
    for context in [&a, &b] {
        let mut tx = stage.store.begin(context).await.unwrap();
        let database: String = value(tx.conn(), "SELECT current_database()::text").await.unwrap();
        assert_eq!(database, format!("tenant_{}", context.tenant_id().as_uuid().simple()));
        run(tx.conn(), "INSERT INTO projects (name) VALUES ('mine')").await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// A commit commits the transaction that began as this tenant's, or nothing.
#[tokio::test]
async fn a_commit_without_its_transaction_is_refused() {
    let stage = Stage::new().await;
    let tenant = stage.tenant("acme", Isolation::Shared).await;
    for lost in
        ["ROLLBACK", "ROLLBACK; BEGIN", "SELECT set_config('app.tenant_id', gen_random_uuid()::text, true)"]
    {
        let mut tx = stage.store.begin(&context(&tenant)).await.unwrap();
        run(tx.conn(), "INSERT INTO projects (name) VALUES ('lost')").await.unwrap();
        run(tx.conn(), lost).await.unwrap();
        tx.commit().await.expect_err(lost);
    }
    let mut tx = stage.store.read(&context(&tenant)).await.unwrap();
    assert_eq!(value::<i64>(tx.conn(), "SELECT count(*) FROM projects").await.unwrap(), 0);
}

/// Referenced rows are removed after the rows that refer to them, in any order of tables; other tenants' rows stay.
#[tokio::test]
async fn a_shared_tenant_is_removed_with_all_its_rows() {
    let stage = Stage::new().await;
    let (acme, globex) =
        (stage.tenant("acme", Isolation::Shared).await, stage.tenant("globex", Isolation::Shared).await);
    stage.sql("ALTER TABLE tenants.tasks ADD FOREIGN KEY (tenant_id, project_id) REFERENCES tenants.projects (tenant_id, id)").await;
    for tenant in [&acme, &globex] {
        let mut tx = stage.store.begin(&context(tenant)).await.unwrap();
        run(tx.conn(), "INSERT INTO projects (name) VALUES ('one')").await.unwrap();
        run(tx.conn(), "INSERT INTO tasks (project_id) SELECT id FROM projects").await.unwrap();
        tx.commit().await.unwrap();
    }
    stage.store.deprovision(&acme).await.unwrap();
    let mut superuser = stage.connection().await;
    for table in ["projects", "tasks", "multitenancy_marker"] {
        let sql = format!("SELECT count(*) FROM tenants.{table} WHERE tenant_id = '{}'", acme.id.as_uuid());
        assert_eq!(value::<i64>(&mut superuser, sql).await.unwrap(), 0, "{table}");
        let sql = format!("SELECT count(*) FROM tenants.{table} WHERE tenant_id = '{}'", globex.id.as_uuid());
        assert_eq!(value::<i64>(&mut superuser, sql).await.unwrap(), 1, "{table}");
    }
}

/// A script that changes the search path still writes its history and its marker to the right place.
#[tokio::test]
async fn migration_returns_after_a_path_change() {
    let stage = Stage::new().await;
    let tenant = stage.tenant("acme", Isolation::Schema).await;
    let scripts = [APPLICATION, &["SET search_path TO public; SET ROLE multitenancy_app"]].concat();
    let builder = PgStore::builder(&url(&stage.database)).reference_table("countries");
    let store = builder.tenant_migrations(migrations(&scripts)).connect().await.unwrap();
    store.migrate().await.unwrap();
    store.begin(&context(&tenant)).await.unwrap().commit().await.unwrap();
    // The control plane is unchanged.
    stage.start().await.unwrap();
}

/// S10: a database that its migration has made unsafe is not served, after any number of migrations, until it is
/// fixed.
#[tokio::test]
async fn s10_unsafe_database_is_not_served() {
    let stage = Stage::new().await;
    let tenant = stage.tenant("acme", Isolation::Database).await;
    // In its own database alone: that of all is looked at by itself.
    let leak = "DO $$ BEGIN IF current_database() LIKE 'tenant%' THEN ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY; END IF; END $$";
    let scripts = [APPLICATION, &[leak]].concat();
    let builder = PgStore::builder(&url(&stage.database)).reference_table("countries");
    let store = builder.tenant_migrations(migrations(&scripts)).connect().await.unwrap();
    for _ in 0..2 {
        let refused = store.migrate().await.unwrap_err();
        assert_eq!(refused.code(), "tenants_not_migrated", "{refused}");
        let refused = store.begin(&context(&tenant)).await.map(drop).unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unavailable, "tenant_upgrading"));
    }
    let database = url(&format!("tenant_{}", tenant.id.as_uuid().simple()));
    let mut superuser = <sqlx::PgConnection as sqlx::Connection>::connect(&database).await.unwrap();
    run(&mut superuser, "ALTER TABLE tasks FORCE ROW LEVEL SECURITY").await.unwrap();
    store.migrate().await.unwrap();
    store.begin(&context(&tenant)).await.unwrap().commit().await.unwrap();
}
