//! Abandoned statements: they keep running, and block no other unit.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::time::Duration;

use common::{open, url};
use multitenancy_core::{Store, Tenant, environment::monotonic};
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::fixtures::{context, provisioned};

/// Takes seconds.
const SLOW: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000) SELECT count(*) FROM n";

/// Begins a slow read and drops it in the middle of the statement.
async fn abandon(store: &SqliteStore, tenant: &Tenant) {
    let mut tx = store.read(&context(tenant)).await.unwrap();
    let slow = sqlx::query(SLOW).execute(tx.conn());
    let cut = tokio::time::timeout(Duration::from_millis(50), slow).await;
    assert!(cut.is_err(), "the statement is not slow enough for this test");
}

/// How long a reader of the tenant waits.
async fn reading(store: &SqliteStore, tenant: &Tenant) -> Duration {
    let started = monotonic();
    let mut tx = store.read(&context(tenant)).await.unwrap();
    sqlx::query("SELECT 1").execute(tx.conn()).await.unwrap();
    started.elapsed()
}

/// S28: the tenant's next readers get other connections, and so do other tenants, within the limit of open
/// connections.
#[tokio::test(flavor = "multi_thread")]
async fn s28_abandoned_read_blocks_no_other_unit() {
    let directory = tempfile::tempdir().unwrap();
    let wait = Duration::from_secs(2);
    let builder = SqliteStore::builder(&url(&directory)).max_open_connections(3).acquire_timeout(wait);
    let store = open(builder).await;
    let mut tenants = Vec::new();
    for slug in ["aaa", "bbb", "ccc", "ddd", "eee"] {
        tenants.push(provisioned(&store, slug).await);
    }
    reading(&store, &tenants[0]).await;
    abandon(&store, &tenants[0]).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    for round in 0..5 {
        for tenant in &tenants {
            let waited = reading(&store, tenant).await;
            assert!(
                waited < Duration::from_millis(500),
                "{} waited {waited:?} in round {round}",
                tenant.slug
            );
            let open = open_tenant_files(&directory);
            assert!(open <= 3, "{open} of 3 are open");
        }
    }
}

/// Closing the store waits for it no longer than the acquire timeout.
#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_abandoned_reads() {
    let directory = tempfile::tempdir().unwrap();
    let builder = SqliteStore::builder(&url(&directory)).acquire_timeout(Duration::from_millis(300));
    let store = open(builder).await;
    let acme = provisioned(&store, "acme").await;
    abandon(&store, &acme).await;
    let started = monotonic();
    store.close().await;
    let took = started.elapsed();
    assert!(took < Duration::from_millis(900), "{took:?}");
    assert_eq!(store.read(&context(&acme)).await.map(drop).unwrap_err().code(), "storage_closed");
    assert_eq!(store.ping().await.unwrap_err().code(), "storage_closed");
}

/// Connections to tenants' files in this directory, counted by the descriptors of their logs.
fn open_tenant_files(directory: &tempfile::TempDir) -> usize {
    let tenants = directory.path().join("tenants");
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets
        .filter(|target| target.starts_with(&tenants) && target.to_string_lossy().ends_with("-wal"))
        .count()
}
