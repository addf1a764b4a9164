//! Migrating many tenants' files: one after another, with progress, up and down.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "common/fleet.rs"]
mod cases;
#[path = "common/killed.rs"]
mod killed;
#[path = "common/migrator.rs"]
mod migrator;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use cases::{Deployment, migrate, tenants, three, to};
use multitenancy_core::{Isolation, Store, Tenant, store::fleet::Target};
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::{fixtures::context, rounds};
use sqlx::{Connection, SqliteConnection, migrate::Migrator};

struct Directory {
    path: PathBuf,
    /// Its creator removes it.
    _own: Option<tempfile::TempDir>,
}

impl Directory {
    fn new() -> Self {
        let own = tempfile::tempdir().unwrap();
        Self { path: own.path().to_owned(), _own: Some(own) }
    }

    fn file(&self, tenant: &Tenant) -> PathBuf {
        self.path.join("tenants").join(format!("{}.db", tenant.id))
    }

    /// Without the store's knowledge.
    async fn connection(&self, tenant: &Tenant) -> SqliteConnection {
        SqliteConnection::connect(self.file(tenant).to_str().unwrap()).await.unwrap()
    }

    /// Waits for a dropped store: it closes its last connections in the background, and holds the directory's lock
    /// meanwhile.
    async fn freed(&self) {
        let Ok(lock) = std::fs::File::open(self.path.join("lock")) else { return };
        for _ in 0..500 {
            if lock.try_lock().is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn store(&self, migrations: Migrator) -> SqliteStore {
        let url = format!("sqlite:{}", self.path.display());
        self.freed().await;
        SqliteStore::builder(&url).tenant_migrations(migrations).connect().await.unwrap()
    }
}

#[async_trait]
impl Deployment for Directory {
    fn isolation(&self) -> Isolation {
        Isolation::Database
    }

    async fn open(&self, migrations: Migrator) -> Arc<dyn Store> {
        Arc::new(self.store(migrations).await)
    }

    fn close(&self, store: Arc<dyn Store>) {
        drop(store);
    }

    async fn sql(&self, tenant: &Tenant, sql: &'static str) {
        let mut connection = self.connection(tenant).await;
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn hide(&self, tenant: &Tenant, hidden: bool) {
        let (file, away) = (self.file(tenant), self.path.join("away"));
        let (from, to) = if hidden { (file, away) } else { (away, file) };
        std::fs::rename(from, to).unwrap();
    }

    fn size(&self) -> usize {
        60
    }

    fn first(&self) -> &'static str {
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"
    }

    fn tags(&self) -> &'static str {
        "CREATE TABLE tags (id INTEGER PRIMARY KEY)"
    }
}

#[async_trait]
impl killed::Storage for Directory {
    async fn settled(&self, _: &[Tenant]) {}

    async fn columns(&self, tenant: &Tenant) -> Vec<String> {
        let sql = "SELECT name FROM pragma_table_info('notes') ORDER BY name";
        sqlx::query_scalar(sql).fetch_all(&mut self.connection(tenant).await).await.unwrap()
    }

    async fn write(&self, tenant: &Tenant) {
        let insert = sqlx::query("INSERT INTO notes (id, text) VALUES (1, $1)").bind(tenant.slug.as_str());
        insert.execute(&mut self.connection(tenant).await).await.unwrap();
    }

    async fn notes(&self, tenant: &Tenant) -> Vec<String> {
        let sql = "SELECT text FROM notes";
        sqlx::query_scalar(sql).fetch_all(&mut self.connection(tenant).await).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e20_one_failing_tenant_does_not_stop_others() {
    cases::e20_one_failing_tenant_does_not_stop_others(&Directory::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e20_a_dropped_run_is_completed_by_the_next() {
    cases::e20_a_dropped_run_is_completed_by_the_next(&Directory::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn current_tenants_are_not_touched() {
    cases::current_tenants_are_not_touched(&Directory::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_reported_and_stops_its_tenant() {
    cases::drift_is_reported_and_stops_its_tenant(&Directory::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_go_up_and_down() {
    cases::tenants_go_up_and_down(&Directory::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn irreversible_migration_stays() {
    cases::irreversible_migration_stays(&Directory::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e20_a_killed_run_is_completed_by_the_next() {
    if let Some(place) = killed::place() {
        let directory = Directory { path: place.into(), _own: None };
        return killed::migrate_and_tell(&directory.store(three(&directory, 3)).await).await;
    }
    let (directory, test) = (Directory::new(), "e20_a_killed_run_is_completed_by_the_next");
    let place = directory.path.to_str().unwrap();
    killed::a_killed_run_is_completed_by_the_next(&directory, &[Isolation::Database], place, test).await;
}

/// One process uses a directory; its runs may still overlap.
#[tokio::test(flavor = "multi_thread")]
async fn many_start_at_once() {
    let directory = Directory::new();
    let store = directory.open(three(&directory, 3)).await;
    cases::many_start_at_once(&directory, [store.clone(), store]).await;
}

/// E20: while tenants are migrated down and up again, each unit sees the program's version and no intermediate one.
#[tokio::test(flavor = "multi_thread")]
async fn e20_no_unit_sees_another_version() {
    let directory = Directory::new();
    let store = directory.store(three(&directory, 3)).await;
    let tenant = tenants(&store, Isolation::Database, 1).await.remove(0);
    let stop = Arc::new(AtomicBool::new(false));
    let reading: Vec<_> = (0..3)
        .map(|_| {
            let (store, stop, context) = (store.clone(), stop.clone(), context(&tenant));
            tokio::spawn(async move {
                let (mut served, mut refused) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    match store.read(&context).await {
                        Ok(mut tx) => {
                            tokio::task::yield_now().await;
                            sqlx::query("SELECT author, mood FROM notes").fetch_all(tx.conn()).await.unwrap();
                            served += 1;
                        }
                        Err(error) => {
                            assert_eq!(error.code(), "tenant_upgrading", "{error:?}");
                            refused += 1;
                            tokio::task::yield_now().await;
                        }
                    }
                }
                (served, refused)
            })
        })
        .collect();
    for _ in 0..rounds(50) {
        for target in [Target::Version(1), Target::Newest] {
            let report = migrate(&store, &to(target)).await;
            assert!(report.failed.is_empty(), "{:?}", report.failed);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (mut served, mut refused) = (0, 0);
    for reader in reading {
        let counts = reader.await.unwrap();
        served += counts.0;
        refused += counts.1;
    }
    // The control: there was something to see.
    assert!(served > 0 && refused > 0, "{served} served, {refused} refused");
}
