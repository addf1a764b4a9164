//! Migrating many tenants, with each isolation.

#[path = "../common/fleet.rs"]
mod cases;
#[path = "../common/killed.rs"]
mod killed;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use cases::{Deployment, migrate, only, refusal, reversible, status, tenants, three, to};
use multitenancy_core::{
    ErrorKind, Isolation, Store, Tenant,
    environment::monotonic,
    store::fleet::{FleetOptions, Target},
};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::fixtures::{context, provisioned_in};
use sqlx::{Connection, PgConnection, migrate::Migrator};

use crate::{
    migrator::migrations,
    server::{Server, execute, run, server_url, url},
    stage::{APPLICATION, Stage},
};

struct Database {
    _server: Server,
    isolation: Isolation,
    name: String,
}

impl Database {
    async fn new(isolation: Isolation) -> Self {
        let server = Server::new(isolation);
        let name = server.create().await;
        Self { _server: server, isolation, name }
    }

    /// The URL of a tenant's storage, and its schema there.
    fn storage(&self, tenant: &Tenant) -> (String, String) {
        let own = format!("tenant_{}", tenant.id.as_uuid().simple());
        match tenant.isolation {
            Isolation::Shared => (url(&self.name), "tenants".to_owned()),
            Isolation::Schema => (url(&self.name), own),
            Isolation::Database => (url(&own), "public".to_owned()),
        }
    }

    /// Without the store's knowledge.
    async fn connection(&self, tenant: &Tenant) -> PgConnection {
        let (url, schema) = self.storage(tenant);
        let mut connection = PgConnection::connect(&url).await.unwrap();
        run(&mut connection, format!("SET search_path TO {schema}")).await;
        connection
    }

    async fn store(&self, migrations: Migrator) -> PgStore {
        let builder = PgStore::builder(&url(&self.name)).default_isolation(self.isolation);
        builder.tenant_migrations(migrations).connect().await.unwrap()
    }

    /// A session in a tenant's storage that locks its table of notes, so that no migration can change it.
    async fn hold_notes(&self, tenant: &Tenant) -> PgConnection {
        let (url, schema) = self.storage(tenant);
        let mut connection = PgConnection::connect(&url).await.unwrap();
        run(&mut connection, format!("BEGIN; LOCK TABLE {schema}.notes IN ACCESS SHARE MODE")).await;
        connection
    }
}

#[async_trait]
impl Deployment for Database {
    fn isolation(&self) -> Isolation {
        self.isolation
    }

    async fn open(&self, migrations: Migrator) -> Arc<dyn Store> {
        Arc::new(self.store(migrations).await)
    }

    fn close(&self, store: Arc<dyn Store>) {
        drop(store);
    }

    async fn sql(&self, tenant: &Tenant, sql: &'static str) {
        let (url, schema) = self.storage(tenant);
        execute(&url, format!("SET search_path TO {schema}; {sql}")).await;
    }

    async fn hide(&self, tenant: &Tenant, hidden: bool) {
        let own = format!("tenant_{}", tenant.id.as_uuid().simple());
        let (kind, name) = match self.isolation {
            Isolation::Shared => ("SCHEMA", "tenants"),
            Isolation::Schema => ("SCHEMA", &*own),
            Isolation::Database => ("DATABASE", &*own),
        };
        let away = format!("away_{}", tenant.id.as_uuid().simple());
        let (from, to) = if hidden { (name, &*away) } else { (&*away, name) };
        execute(&url(&self.name), format!("ALTER {kind} {from} RENAME TO {to}")).await;
    }

    fn size(&self) -> usize {
        match self.isolation {
            Isolation::Schema => 60,
            _ => 6,
        }
    }

    fn first(&self) -> &'static str {
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL); SELECT multitenancy.protect('notes')"
    }

    fn tags(&self) -> &'static str {
        "CREATE TABLE tags (id INTEGER PRIMARY KEY); SELECT multitenancy.protect('tags')"
    }
}

#[async_trait]
impl killed::Storage for Database {
    async fn settled(&self, tenants: &[Tenant]) {
        let own = |tenant: &Tenant| format!("tenant_{}", tenant.id.as_uuid().simple());
        let databases: Vec<_> = tenants.iter().map(own).chain([self.name.clone()]).collect();
        let mut connection = PgConnection::connect(&server_url()).await.unwrap();
        let sql = "SELECT concat_ws(' ', application_name, state, query) FROM pg_stat_activity WHERE datname = ANY ($1)";
        let bound = monotonic() + PATIENCE;
        loop {
            let connected = sqlx::query_scalar(sql).bind(&databases).fetch_all(&mut connection).await;
            let connected: Vec<String> = connected.unwrap();
            if connected.is_empty() {
                return;
            }
            assert!(monotonic() < bound, "still connected: {connected:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn columns(&self, tenant: &Tenant) -> Vec<String> {
        let sql = "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass('notes') AND attnum > 0 \
                   AND NOT attisdropped AND attname <> 'tenant_id' ORDER BY 1";
        let mut connection = self.connection(tenant).await;
        let columns = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        columns
    }

    async fn write(&self, tenant: &Tenant) {
        let mut connection = self.connection(tenant).await;
        let insert = sqlx::query("INSERT INTO notes (tenant_id, id, text) VALUES ($1, 1, $2)");
        let insert = insert.bind(tenant.id.as_uuid()).bind(tenant.slug.as_str());
        insert.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn notes(&self, tenant: &Tenant) -> Vec<String> {
        let mut connection = self.connection(tenant).await;
        let notes =
            sqlx::query_scalar("SELECT text FROM notes WHERE tenant_id = $1").bind(tenant.id.as_uuid());
        let notes = notes.fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        notes
    }
}

macro_rules! modes {
    ($($mode:ident: $isolation:expr),*) => {$(
        mod $mode {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn e20_a_dropped_run_is_completed_by_the_next() {
                cases::e20_a_dropped_run_is_completed_by_the_next(&Database::new($isolation).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn current_tenants_are_not_touched() {
                cases::current_tenants_are_not_touched(&Database::new($isolation).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn drift_is_reported_and_stops_its_tenant() {
                cases::drift_is_reported_and_stops_its_tenant(&Database::new($isolation).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn tenants_go_up_and_down() {
                cases::tenants_go_up_and_down(&Database::new($isolation).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn irreversible_migration_stays() {
                cases::irreversible_migration_stays(&Database::new($isolation).await).await;
            }

            /// Two replicas.
            #[tokio::test(flavor = "multi_thread")]
            async fn many_start_at_once() {
                let database = Database::new($isolation).await;
                let one = database.open(three(&database, 3)).await;
                let other = database.open(three(&database, 3)).await;
                cases::many_start_at_once(&database, [one, other]).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn e20_tenant_under_migration_is_refused() {
                under_way(&Database::new($isolation).await).await;
            }
        }
    )*};
}

modes! { shared: Isolation::Shared, schema: Isolation::Schema, database: Isolation::Database }

#[tokio::test(flavor = "multi_thread")]
async fn e20_one_failing_schema_does_not_stop_others() {
    cases::e20_one_failing_tenant_does_not_stop_others(&Database::new(Isolation::Schema).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e20_one_failing_database_does_not_stop_others() {
    cases::e20_one_failing_tenant_does_not_stop_others(&Database::new(Isolation::Database).await).await;
}

/// Longer than a replica trusts its cache.
const PATIENCE: Duration = Duration::from_secs(20);

async fn until_refused(store: &dyn Store, tenant: &Tenant) {
    let refused = async {
        while store.begin(&context(tenant)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(refusal(store, tenant).await, Some("tenant_upgrading"));
}

/// E20: between two versions a tenant is refused, at once by the process that migrates it, and within the cache time
/// by another process that has just served it. The migration waits for units that were already running.
async fn under_way(database: &Database) {
    // The waiting step is the second: when the first is done, the tenant is between versions.
    let migrations = || {
        reversible(&[
            (database.first(), "DROP TABLE notes"),
            ("ALTER TABLE notes ADD COLUMN author TEXT", "ALTER TABLE notes DROP COLUMN author"),
            ("CREATE TABLE tags (id INTEGER); SELECT multitenancy.protect('tags')", "DROP TABLE tags"),
        ])
    };
    let (store, replica) = (database.store(migrations()).await, database.store(migrations()).await);
    let tenant = tenants(&store, database.isolation, 1).await.remove(0);
    for store in [&store, &replica] {
        assert_eq!(refusal(store, &tenant).await, None);
    }
    let holder = database.hold_notes(&tenant).await;
    let down = tokio::spawn({
        let store = store.clone();
        async move { migrate(&store, &to(Target::Version(1))).await }
    });
    until_refused(&store, &tenant).await;
    until_refused(&replica, &tenant).await;
    assert!(!down.is_finished(), "it waits for the session that holds the table");
    holder.close().await.unwrap();
    assert_eq!(down.await.unwrap().migrated, 1);
    for store in [&store, &replica] {
        assert_eq!(refusal(store, &tenant).await, Some("tenant_upgrading"));
    }
    // A replica of the older program has it in its cache.
    let older = database.store(three(database, 1)).await;
    assert_eq!(refusal(&older, &tenant).await, None);
    assert_eq!(migrate(&store, &FleetOptions::default()).await.migrated, 1);
    assert_eq!(refusal(&store, &tenant).await, None);
    until_refused(&older, &tenant).await;
}

/// No tenant is added to tables at another version: it would be served from them.
#[tokio::test(flavor = "multi_thread")]
async fn e20_outdated_shared_tables_accept_no_tenant() {
    let database = Database::new(Isolation::Shared).await;
    let store = database.store(three(&database, 2)).await;
    let tenant = tenants(&store, Isolation::Shared, 1).await.remove(0);
    assert_eq!(migrate(&store, &only(&tenant, Target::Version(1))).await.migrated, 1);
    let newcomer =
        Tenant { id: multitenancy_core::TenantId::generate(store.environment()), ..tenant.clone() };
    assert_eq!(store.provision(&newcomer).await.unwrap_err().code(), "tenant_upgrading");
    store.migrate().await.unwrap();
    store.provision(&newcomer).await.unwrap();
    assert_eq!(refusal(&store, &newcomer).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn e20_a_killed_run_is_completed_by_the_next() {
    if let Some(name) = killed::place() {
        let database =
            Database { _server: Server::new(Isolation::Shared), isolation: Isolation::Shared, name };
        return killed::migrate_and_tell(&database.store(three(&database, 3)).await).await;
    }
    let database = Database::new(Isolation::Shared).await;
    let all = [Isolation::Shared, Isolation::Schema, Isolation::Database];
    let test = "fleet::e20_a_killed_run_is_completed_by_the_next";
    killed::a_killed_run_is_completed_by_the_next(&database, &all, &database.name, test).await;
}

/// The isolations together, in one run.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_reaches_every_isolation() {
    let database = Database::new(Isolation::Shared).await;
    let store = database.store(three(&database, 1)).await;
    let mut all = Vec::new();
    for isolation in [Isolation::Shared, Isolation::Schema, Isolation::Database] {
        for slug in ["one", "two"] {
            all.push(provisioned_in(&store, &format!("{isolation}-{slug}"), isolation).await);
        }
    }
    drop(store);
    let store = database.store(three(&database, 3)).await;
    let report = migrate(&store, &FleetOptions { at_once: 2, ..FleetOptions::default() }).await;
    assert_eq!((report.migrated, report.failed.len()), (6, 0), "{report:?}");
    for tenant in &all {
        assert_eq!(refusal(&store, tenant).await, None);
    }
    assert!(status(&store).await.iter().all(|found| found.state.as_ref().unwrap().current));
}

/// The control of `many_start_at_once`: without a lock, one of two fails.
#[tokio::test(flavor = "multi_thread")]
async fn control_without_a_lock_two_replicas_collide() {
    let database = Database::new(Isolation::Schema).await;
    let mut migrator = reversible(&[("SELECT pg_sleep(0.2); CREATE TABLE notes (id INTEGER)", "")]);
    migrator.set_locking(false);
    let mut one = PgConnection::connect(&url(&database.name)).await.unwrap();
    let mut other = PgConnection::connect(&url(&database.name)).await.unwrap();
    // Created before, so that the two meet in the migration.
    execute(
        &url(&database.name),
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, \
         execution_time BIGINT NOT NULL)"
            .to_owned(),
    )
    .await;
    let both = tokio::join!(
        migrator.run_direct(None, &mut one, false),
        migrator.run_direct(None, &mut other, false)
    );
    assert!(both.0.is_err() || both.1.is_err());
}

/// More tenants than a SELECT has columns share their tables: they are migrated as one, signalled to other processes,
/// and not touched again.
#[tokio::test]
async fn e20_thousands_share_tables() {
    const TENANTS: usize = 2_000;
    let stage = Stage::new().await;
    stage.tenant("acme", Isolation::Shared).await;
    let clones = format!(
        "INSERT INTO multitenancy_tenants SELECT (jsonb_populate_record(tenant, jsonb_build_object(
             'id', gen_random_uuid(), 'slug', 'tenant-' || n))).*
         FROM multitenancy_tenants AS tenant, generate_series(2, {TENANTS}) AS n"
    );
    stage.sql(clones).await;
    let newer: Vec<_> = APPLICATION
        .iter()
        .copied()
        .chain(["CREATE TABLE notes (text text); SELECT multitenancy.protect('notes')"])
        .collect();
    let newer = stage.builder().tenant_migrations(migrations(&newer)).connect().await.unwrap();
    let report = migrate(&newer, &FleetOptions::default()).await;
    assert_eq!((report.migrated, report.failed.len()), (TENANTS, 0), "{:?}", report.failed.first());
    let report = migrate(&newer, &FleetOptions::default()).await;
    assert_eq!(report.skipped, TENANTS);
}

/// One step down from an unknown version is refused: it could go down to zero.
#[tokio::test]
async fn a_step_down_from_nowhere_is_refused() {
    let stage = Stage::new().await;
    let tenant = stage.tenant("acme", Isolation::Schema).await;
    stage.sql("DELETE FROM multitenancy_tenant_schemas").await;
    let previous = FleetOptions { target: Target::Previous, ..FleetOptions::default() };
    let refused = stage.store.fleet().migrate_all(&previous).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("where acme is, is not known"), "{refused}");
    drop(stage.store.read(&context(&tenant)).await.unwrap());
}
