//! Concurrent writes of 1,000 tenants: with a file per tenant, and with one shared file.
#![expect(clippy::unwrap_used, reason = "a benchmark, not a library: it fails by panicking")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use multitenancy::{TenantContext, sqlx::SqliteStore};
use multitenancy_benches::{Comparison, Effort};
use multitenancy_testkit::fixtures;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

const TASKS: usize = 64;

#[tokio::main]
async fn main() {
    let effort = Effort::from_arguments();
    let tenants = if effort.measures { 1000 } else { 20 };
    let directory = tempfile::tempdir().unwrap();
    let warm = files(&directory.path().join("warm"), tenants, tenants + 24).await;
    let bounded = files(&directory.path().join("bounded"), tenants, 64).await;
    let shared = shared(&directory.path().join("shared.db"), tenants).await;

    let mut comparison = Comparison::new(effort, TASKS);
    for _ in 0..comparison.rounds() {
        let (pool, next) = (shared.clone(), Arc::new(AtomicUsize::new(0)));
        let write = move |_| {
            let (pool, tenant) = (pool.clone(), next.fetch_add(1, Ordering::Relaxed) % tenants);
            async move {
                let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
                let insert =
                    sqlx::query("INSERT INTO notes (tenant_id, text) VALUES ($1, 'x')").bind(tenant as i64);
                insert.execute(&mut *tx).await.unwrap();
                tx.commit().await.unwrap();
            }
        };
        comparison.measure("one shared file", write).await;
        for (name, (store, contexts)) in
            [("a file per tenant", &warm), ("a file per tenant, 64 of them open", &bounded)]
        {
            let (store, contexts, next) = (store.clone(), contexts.clone(), Arc::new(AtomicUsize::new(0)));
            let write = move |_| {
                let tenant = next.fetch_add(1, Ordering::Relaxed) % contexts.len();
                let (store, context) = (store.clone(), contexts[tenant].clone());
                async move {
                    let mut tx = store.begin(&context).await.unwrap();
                    sqlx::query("INSERT INTO notes (text) VALUES ('x')").execute(tx.conn()).await.unwrap();
                    tx.commit().await.unwrap();
                }
            };
            comparison.measure(name, write).await;
        }
    }
    comparison
        .report(&format!("{tenants} tenants written by {TASKS} tasks, each commit on the disk; wanted: 3"));
}

async fn files(directory: &Path, tenants: usize, open: usize) -> (SqliteStore, Arc<[TenantContext]>) {
    let store = SqliteStore::builder(&format!("sqlite:{}", directory.display()))
        .tenant_migrations(sqlx::migrate!("./migrations/sqlite"))
        .max_open_connections(open)
        .acquire_timeout(Duration::from_secs(60))
        .connect()
        .await
        .unwrap();
    let mut contexts = Vec::new();
    for index in 0..tenants {
        let tenant = fixtures::provisioned(&store, &format!("tenant-{index}")).await;
        contexts.push(fixtures::context(&tenant));
    }
    (store, contexts.into())
}

/// The usual schema without this library: one file, a tenant column and an index on it.
async fn shared(file: &Path, tenants: usize) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(60));
    // One connection: further ones would poll for the write lock, which is slower.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(60))
        .connect_with(options)
        .await
        .unwrap();
    let table =
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL, text TEXT NOT NULL) STRICT";
    sqlx::query(table).execute(&pool).await.unwrap();
    sqlx::query("CREATE INDEX notes_by_tenant ON notes (tenant_id)").execute(&pool).await.unwrap();
    assert!(tenants > 0);
    pool
}
