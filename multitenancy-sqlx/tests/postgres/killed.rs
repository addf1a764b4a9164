//! `kill -9` of PostgreSQL under load, on the test's own server (S124).

use std::{collections::HashSet, time::Duration};

use multitenancy_core::{EventId, Isolation, Result, TenantContext, UnitOfWork, UnitOfWorkExt};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::{
    SeededRandom, TestEvent, fixtures::active_tenant, postgres::PostgresServer, retrying, rounds,
    within_limit,
};
use tokio::task::JoinSet;

const WRITERS: usize = 8;

/// One unit of work: a mark and an event, both or neither.
async fn write(store: &PgStore, tenant: &TenantContext) -> Result<EventId> {
    let mark = EventId::generate(multitenancy_core::Store::environment(store));
    let mut tx = store.begin(tenant).await?;
    tx.consumed().record("killed", mark).await?;
    UnitOfWorkExt::publish(&mut tx, TestEvent::new(mark.to_string(), 1)).await?;
    tx.commit().await?;
    Ok(mark)
}

async fn marks(store: &PgStore, tenant: &TenantContext, sql: &'static str) -> HashSet<String> {
    let look = || async {
        let mut tx = store.read(tenant).await?;
        let marks: std::result::Result<Vec<String>, _> = sqlx::query_scalar(sql).fetch_all(tx.conn()).await;
        marks.map_err(multitenancy_core::Error::internal)
    };
    within_limit("the server to be back", retrying(look)).await.unwrap().into_iter().collect()
}

async fn assert_killing_loses_nothing(isolation: Isolation) {
    let random = SeededRandom::from_env();
    let server = PostgresServer::start(&[]).unwrap();
    let store = PgStore::builder(&server.url()).default_isolation(isolation).connect().await.unwrap();
    let tenant = active_tenant(&store, "acme").await;
    let mut acknowledged = HashSet::new();
    for round in 0..rounds(3) {
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (store, tenant) = (store.clone(), tenant.clone());
            writers.spawn(async move {
                let mut written = Vec::new();
                // Until the server has ended.
                while let Ok(mark) = write(&store, &tenant).await {
                    written.push(mark.to_string());
                }
                written
            });
        }
        tokio::time::sleep(Duration::from_millis(random.number(100..600))).await;
        server.kill().unwrap();
        let written = within_limit("the writers to notice", writers.join_all()).await;
        acknowledged.extend(written.into_iter().flatten());
        server.resume().unwrap();
        // The store recovers without help.
        let rows = marks(&store, &tenant, "SELECT event_id::text FROM multitenancy_consumed_events").await;
        let events = marks(&store, &tenant, "SELECT aggregate_id FROM multitenancy_outbox").await;
        assert!(!acknowledged.is_empty(), "nothing was written before the kill");
        let lost = acknowledged.difference(&rows).count();
        assert_eq!(lost, 0, "round {round}: of {} acknowledged writes", acknowledged.len());
        assert_eq!(rows, events, "round {round}: a row without its event, or an event without its row");
        let write = || write(&store, &tenant);
        acknowledged.insert(within_limit("a write", retrying(write)).await.unwrap().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s124_server_kill_loses_nothing_in_shared_tables() {
    assert_killing_loses_nothing(Isolation::Shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s124_server_kill_loses_nothing_in_schemas() {
    assert_killing_loses_nothing(Isolation::Schema).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s124_server_kill_loses_nothing_in_databases() {
    assert_killing_loses_nothing(Isolation::Database).await;
}

/// The control: with commits that are answered before they are written, the same test loses some.
#[tokio::test(flavor = "multi_thread")]
async fn s124_control_asynchronous_commits_are_lost() {
    let server = PostgresServer::start(&["synchronous_commit = off", "wal_writer_delay = 10s"]).unwrap();
    let store = PgStore::builder(&server.url()).connect().await.unwrap();
    let tenant = active_tenant(&store, "acme").await;
    let mut acknowledged = HashSet::new();
    for _ in 0..20 {
        acknowledged.insert(write(&store, &tenant).await.unwrap().to_string());
    }
    server.kill().unwrap();
    server.resume().unwrap();
    let rows = marks(&store, &tenant, "SELECT event_id::text FROM multitenancy_consumed_events").await;
    assert!(acknowledged.difference(&rows).count() > 0, "the test does not see what it is there to see");
}
