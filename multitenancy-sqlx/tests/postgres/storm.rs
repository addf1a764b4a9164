//! The storm of the conformance suite: its effect on the server, and its effect on sqlx's own pool.

use std::{sync::Arc, time::Duration};

use multitenancy_core::{Environment, Error, Isolation, Store};
use multitenancy_testkit::{Harness, cancellation, rounds};
use sqlx::{PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::server::{Server, url};

async fn assert_nothing_open(isolation: Isolation) {
    let server = Server::new(isolation);
    let store = server.open().await;
    cancellation::storm(store.clone()).await;
    let looking = PgPool::connect(&url(&server.last())).await.unwrap();
    // A dropped read is rolled back after a moment.
    for left in (0..50).rev() {
        let open: Vec<(String, String)> = sqlx::query_as(
            "SELECT state, query FROM pg_stat_activity WHERE application_name LIKE 'multitenancy %' AND xact_start IS NOT NULL \
             AND (datname = current_database() OR datname IN (SELECT 'tenant_' || replace(id::text, '-', '') \
             FROM multitenancy_tenants))",
        )
        .fetch_all(&looking)
        .await
        .unwrap();
        if open.is_empty() {
            break;
        }
        assert!(left > 0, "open transactions after the storm: {open:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let locks: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database \
         WHERE datname = current_database())",
    )
    .fetch_one(&looking)
    .await
    .unwrap();
    assert_eq!(locks, 0, "advisory locks after the storm");
    let store: Arc<dyn Store> = store;
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_nothing_stays_open_in_shared_tables() {
    assert_nothing_open(Isolation::Shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_nothing_stays_open_in_schemas() {
    assert_nothing_open(Isolation::Schema).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_nothing_stays_open_in_databases() {
    assert_nothing_open(Isolation::Database).await;
}

/// S27, S29: the control. sqlx 0.9's own `begin` leaves connections in open transactions, and loses acknowledged
/// writes of other units on them.
#[tokio::test(flavor = "multi_thread")]
async fn control_sqlx_by_itself_loses_acknowledged_writes() {
    let server = Server::new(Isolation::Shared);
    let database = server.create().await;
    let pool = PgPoolOptions::new().max_connections(8).connect(&url(&database)).await.unwrap();
    sqlx::query("CREATE TABLE marks (mark uuid PRIMARY KEY)").execute(&pool).await.unwrap();
    let working = pool.clone();
    let work = move |number| {
        let pool = working.clone();
        async move {
            let mark = Environment::system().uuid();
            write(&pool, mark, number % 2 == 0).await.map(|()| mark).map_err(Error::internal)
        }
    };
    let storm = cancellation::cancel_at_random(rounds(2_000), work).await;
    pool.close().await;
    let looking = PgPool::connect(&url(&database)).await.unwrap();
    let kept: Vec<Uuid> = sqlx::query_scalar("SELECT mark FROM marks").fetch_all(&looking).await.unwrap();
    let kept: std::collections::HashSet<_> = kept.into_iter().collect();
    let lost = storm.acknowledged.iter().filter(|mark| !kept.contains(mark)).count();
    println!("{lost} of {} acknowledged writes lost", storm.acknowledged.len());
    assert!(lost > 0, "the harness does not see what it is there to see");
}

async fn write(pool: &PgPool, mark: Uuid, in_transaction: bool) -> sqlx::Result<()> {
    let insert = sqlx::query("INSERT INTO marks (mark) VALUES ($1)").bind(mark);
    if !in_transaction {
        return insert.execute(pool).await.map(drop);
    }
    let mut tx = pool.begin().await?;
    insert.execute(&mut *tx).await?;
    tx.commit().await
}
