//! A scoped read, compared with a raw read of the same file.
#![expect(clippy::unwrap_used, reason = "a benchmark, not a library: it fails by panicking")]

use multitenancy::sqlx::SqliteStore;
use multitenancy_benches::{Comparison, Effort};
use multitenancy_testkit::fixtures;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

const TASKS: usize = 16;
const READERS: usize = 4;
const NOTES: &str = "SELECT id, text FROM notes ORDER BY id DESC LIMIT 20";

type Note = (i64, String);

#[tokio::main]
async fn main() {
    let effort = Effort::from_arguments();
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::builder(&format!("sqlite:{}", directory.path().display()))
        .tenant_migrations(sqlx::migrate!("./migrations/sqlite"))
        .max_readers_per_tenant(READERS)
        .connect()
        .await
        .unwrap();
    let tenant = fixtures::provisioned(&store, "acme").await;
    let context = fixtures::context(&tenant);
    let mut tx = store.begin(&context).await.unwrap();
    for note in 0..1000 {
        let insert = sqlx::query("INSERT INTO notes (text) VALUES ($1)").bind(format!("note {note}"));
        insert.execute(tx.conn()).await.unwrap();
    }
    tx.commit().await.unwrap();

    let file = directory.path().join("tenants").join(format!("{}.db", tenant.id));
    let options = SqliteConnectOptions::new().filename(file);
    let pool = SqlitePoolOptions::new().max_connections(READERS as u32);
    let default = pool.clone().connect_with(options.clone()).await.unwrap();
    let tuned = pool.test_before_acquire(false).connect_with(options).await.unwrap();

    let mut comparison = Comparison::new(effort, TASKS);
    for _ in 0..comparison.rounds() {
        for (name, pool) in
            [("raw read, sqlx's pool", &default), ("raw read, sqlx's pool without its ping", &tuned)]
        {
            let pool = pool.clone();
            let read = move |_| {
                let pool = pool.clone();
                async move {
                    let notes: Vec<Note> = sqlx::query_as(NOTES).fetch_all(&pool).await.unwrap();
                    assert_eq!(notes.len(), 20);
                }
            };
            comparison.measure(name, read).await;
        }
        let (store, context) = (store.clone(), context.clone());
        let read = move |_| {
            let (store, context) = (store.clone(), context.clone());
            async move {
                let mut tx = store.read(&context).await.unwrap();
                let notes: Vec<Note> = sqlx::query_as(NOTES).fetch_all(tx.conn()).await.unwrap();
                assert_eq!(notes.len(), 20);
            }
        };
        comparison.measure("scoped read", read).await;
    }
    comparison.report("One scoped read ÷ one raw read of the same file; wanted: 0.9");
}
