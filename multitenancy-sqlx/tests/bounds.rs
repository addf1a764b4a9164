//! The budget of open connections, and the settings of each connection.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use common::open;
use multitenancy_core::{ErrorKind, Plane, Store, Tenant, environment::monotonic};
use multitenancy_sqlx::{SqliteStore, Synchronous};
use multitenancy_testkit::fixtures::{context, provisioned};
use tokio::task::JoinSet;

/// The number of open connections to tenants' files: each has its own descriptor of the file's log, which is closed
/// before its permit is passed on. (Its thread ends a moment later, so a count of threads would be too high.)
fn open_connections() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let files = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.ok()?.path()).ok());
    // Contains, not ends: the file of a closing connection may be deleted already, which the name then says.
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

/// 2,000 tenants are served by at most 64 open connections. On one thread, so that no permit is passed on during the
/// count.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn two_thousand_tenants_share_sixty_four_connections() {
    const TENANTS: usize = 2_000;
    const BOUND: usize = 64;
    let directory = tempfile::tempdir().unwrap();
    let builder = SqliteStore::builder(&common::url(&directory))
        .max_open_connections(BOUND)
        .acquire_timeout(Duration::from_secs(60))
        // The test measures the number of connections, not the disk.
        .synchronous(Synchronous::Normal);
    let store = open(builder).await;

    let mut tenants = Vec::new();
    for index in 0..TENANTS {
        tenants.push(Arc::new(provisioned(&store, &format!("tenant-{index}")).await));
    }
    let most = use_all(&store, &tenants).await;
    assert!((BOUND / 2..=BOUND).contains(&most), "{most} connections were open at once");
}

/// The control of the test above: with a wider limit the same measure finds more.
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

/// A dropped store closes its files; files in use close when they are returned.
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

/// A unit without a permit within the timeout is refused as overloaded, and no permit is lost.
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

/// S122: the settings of every connection, to read or to write, on either plane.
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

/// S122: 64 writers of one file run one at a time, and none of them sees SQLITE_BUSY.
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

/// A dropped nested transaction rolls back only its own part; one that is left open fails the commit instead of
/// losing it silently.
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
    // Rolled back completely: the next borrower starts clean.
    store.begin(&context(&tenant)).await.unwrap().commit().await.unwrap();
    assert_eq!(
        store.read(&context(&tenant)).await.map(|tx| multitenancy_core::UnitOfWork::plane(&tx)).unwrap(),
        Plane::Tenant(tenant.id)
    );
    store.ping().await.unwrap();
}
