//! The budget of open connections, and what is set on each of them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use common::open;
use multitenancy_core::{ErrorKind, Plane, Store, Tenant, environment::monotonic};
use multitenancy_sqlx::{SqliteStore, Synchronous};
use multitenancy_testkit::fixtures::{context, provisioned};
use tokio::task::JoinSet;

/// How many connections to tenants' files are open: each has a descriptor of its own for the file's log, which is closed
/// before its room is given on. (Its thread ends a moment later, so threads would be counted too many.)
fn open_connections() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let files = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.ok()?.path()).ok());
    // Contains, not ends: one that is being closed may be deleted already, and says so.
    files
        .filter(|file| file.to_string_lossy().contains(".db-wal"))
        .filter(|file| file.parent().is_some_and(|directory| directory.ends_with("tenants")))
        .count()
}

/// Writes and reads one note in each of `tenants`, up to 200 at once; returns the most connections seen open.
async fn use_all(store: &SqliteStore, tenants: &[Arc<Tenant>]) -> usize {
    let mut most = 0;
    let mut running: JoinSet<multitenancy_core::Result<()>> = JoinSet::new();
    for tenant in tenants {
        let (store, tenant) = (store.clone(), tenant.clone());
        running.spawn(async move {
            let mut tx = store.begin(&context(&tenant)).await?;
            sqlx::query("INSERT INTO notes (text) VALUES ('x')").execute(tx.conn()).await.unwrap();
            tx.commit().await?;
            let mut tx = store.read(&context(&tenant)).await?;
            let notes: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM notes").fetch_one(tx.conn()).await.unwrap();
            assert_eq!(notes, 1);
            Ok(())
        });
        while running.len() >= 200 {
            most = most.max(open_connections());
            running.join_next().await.unwrap().unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap().unwrap();
    }
    most.max(open_connections())
}

/// 2,000 tenants are served by at most 64 open connections. On one thread, so that no room is given on while they are
/// counted.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn two_thousand_tenants_share_sixty_four_connections() {
    const TENANTS: usize = 2_000;
    const BOUND: usize = 64;
    let directory = tempfile::tempdir().unwrap();
    let builder = SqliteStore::builder(&common::url(&directory))
        .max_open_connections(BOUND)
        .acquire_timeout(Duration::from_secs(60))
        // What is measured is the number of connections, not the disk.
        .synchronous(Synchronous::Normal);
    let store = open(builder).await;

    let mut tenants = Vec::new();
    for index in 0..TENANTS {
        tenants.push(Arc::new(provisioned(&store, &format!("tenant-{index}")).await));
    }
    let most = use_all(&store, &tenants).await;
    assert!((BOUND / 2..=BOUND).contains(&most), "{most} connections were open at once");
}

/// The control of the test above: with a wider bound the same measure sees more.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_wider_bound_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let builder = SqliteStore::builder(&common::url(&directory))
        .max_open_connections(300)
        .synchronous(Synchronous::Normal);
    let store = open(builder).await;
    let mut tenants = Vec::new();
    for index in 0..150 {
        tenants.push(Arc::new(provisioned(&store, &format!("tenant-{index}")).await));
    }
    let most = use_all(&store, &tenants).await;
    assert!(most > 200, "only {most} connections were open");
}

/// A store that is dropped closes its files, those that are in use as they come back.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn dropping_a_store_closes_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&common::url(&directory))).await;
    let acme = provisioned(&store, "acme").await;
    let held = store.begin(&context(&acme)).await.unwrap();
    drop(store.read(&context(&acme)).await.unwrap());
    drop(store);
    assert!(open_connections() > 0);
    held.commit().await.unwrap();
    let since = monotonic();
    while open_connections() > 0 {
        assert!(since.elapsed() < Duration::from_secs(5), "{} are open", open_connections());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whoever finds no room within the bound is told to come again, and nothing is lost for others.
#[tokio::test]
async fn waiting_for_room_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let builder = SqliteStore::builder(&common::url(&directory))
        .max_open_connections(1)
        .acquire_timeout(Duration::from_millis(50));
    let store = open(builder).await;
    let (a, b) = (provisioned(&store, "first").await, provisioned(&store, "second").await);

    let held = store.begin(&context(&a)).await.unwrap();
    let refused = store.begin(&context(&b)).await.map(drop).unwrap_err();
    assert_eq!((refused.kind(), refused.retry_after().is_some()), (ErrorKind::Overloaded, true));
    let refused = store.begin(&context(&a)).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded, "one writer per file");
    drop(held);
    store.begin(&context(&b)).await.unwrap().commit().await.unwrap();
    store.begin(&context(&a)).await.unwrap().commit().await.unwrap();
}

/// S122: what is set on every connection, of either kind, on either plane.
#[tokio::test]
async fn s122_every_connection_has_its_pragmas() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&common::url(&directory))).await;
    let tenant = provisioned(&store, "acme").await;
    for write in [true, false] {
        let mut tx = match write {
            true => store.begin(&context(&tenant)).await.unwrap(),
            false => store.read(&context(&tenant)).await.unwrap(),
        };
        let values: Vec<String> = sqlx::query_scalar(
            "SELECT journal_mode FROM pragma_journal_mode UNION ALL SELECT 'fk' || foreign_keys FROM pragma_foreign_keys \
             UNION ALL SELECT 'busy' || timeout FROM pragma_busy_timeout \
             UNION ALL SELECT 'sync' || synchronous FROM pragma_synchronous",
        )
        .fetch_all(tx.conn())
        .await
        .unwrap();
        assert_eq!(values, ["wal", "fk1", "busy5000", "sync2"], "write: {write}");
    }
}

/// S122: 64 writers of one file take turns, and none of them sees SQLITE_BUSY.
#[tokio::test(flavor = "multi_thread")]
async fn s122_writers_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let store =
        open(SqliteStore::builder(&common::url(&directory)).acquire_timeout(Duration::from_secs(60))).await;
    let tenant = Arc::new(provisioned(&store, "acme").await);
    let mut writers = JoinSet::new();
    for writer in 0..64 {
        let (store, tenant) = (store.clone(), tenant.clone());
        writers.spawn(async move {
            for round in 0..10 {
                let mut tx = store.begin(&context(&tenant)).await.unwrap();
                sqlx::query("INSERT INTO notes (text) VALUES ($1)")
                    .bind(format!("{writer}-{round}"))
                    .execute(tx.conn())
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let mut tx = store.read(&context(&tenant)).await.unwrap();
    let notes: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM notes").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(notes, 640);
}

/// A nested transaction that is dropped takes back its part and no more; one that is forgotten open fails the
/// commit rather than losing it silently.
#[tokio::test]
async fn nested_transactions_are_savepoints() {
    use sqlx::Connection;
    let directory = tempfile::tempdir().unwrap();
    let store = open(SqliteStore::builder(&common::url(&directory))).await;
    let tenant = provisioned(&store, "acme").await;
    let insert = "INSERT INTO notes (text) VALUES ('x')";

    let mut tx = store.begin(&context(&tenant)).await.unwrap();
    sqlx::query(insert).execute(tx.conn()).await.unwrap();
    let mut nested = tx.conn().begin().await.unwrap();
    sqlx::query(insert).execute(&mut *nested).await.unwrap();
    drop(nested);
    tx.commit().await.unwrap();
    let count = async || {
        let mut tx = store.read(&context(&tenant)).await.unwrap();
        sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM notes").fetch_one(tx.conn()).await.unwrap()
    };
    assert_eq!(count().await, 1);

    let mut tx = store.begin(&context(&tenant)).await.unwrap();
    sqlx::query(insert).execute(tx.conn()).await.unwrap();
    std::mem::forget(tx.conn().begin().await.unwrap());
    assert!(tx.commit().await.is_err());
    assert_eq!(count().await, 1);
    // Rolled back to the bottom: the next borrower begins anew.
    store.begin(&context(&tenant)).await.unwrap().commit().await.unwrap();
    assert_eq!(
        store.read(&context(&tenant)).await.map(|tx| multitenancy_core::UnitOfWork::plane(&tx)).unwrap(),
        Plane::Tenant(tenant.id)
    );
    store.ping().await.unwrap();
}
