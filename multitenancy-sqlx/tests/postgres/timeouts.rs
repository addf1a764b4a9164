//! The settings that hold at every checkout, whatever earlier units set in their sessions, and the timeouts that end
//! work.

use std::time::Duration;

use multitenancy_core::{ErrorKind, Isolation, TenantContext, UnitOfWork};
use multitenancy_sqlx::{PgStore, PgTransaction};
use multitenancy_testkit::{
    cancellation::{CancelAfter, Cut},
    fixtures::context,
};
use sqlx::{
    PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::task::JoinSet;

use crate::{
    server::url,
    stage::{Stage, run, value},
    watch::{Watch, eventually},
};

/// The settings that a unit may try to change in its session.
const ATTEMPTS: [&str; 8] = [
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET search_path TO public, pg_catalog",
    "SET ROLE none",
    "SELECT pg_advisory_lock(42)",
    "SELECT pg_advisory_lock_shared(43)",
    "SET statement_timeout = 0; SET search_path TO public; SET ROLE none; SELECT pg_advisory_lock(44)",
];

/// The current settings of the connection.
async fn settings(connection: &mut PgConnection) -> String {
    let sql = "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), \
               current_setting('idle_in_transaction_session_timeout'), current_setting('search_path'), current_user, \
               (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()))";
    value(connection, sql).await.unwrap()
}

fn expected(context: &TenantContext) -> String {
    let tenant = context.tenant();
    let path = match tenant.isolation {
        Isolation::Shared => "tenants".to_owned(),
        Isolation::Schema => format!("tenant_{}", tenant.id.as_uuid().simple()),
        Isolation::Database => "public".to_owned(),
    };
    format!("7s 3s 11s {path} multitenancy_app 0")
}

/// Ends a unit in one of the ways in which units end.
async fn end(unit: PgTransaction, way: usize) {
    match way % 4 {
        0 => unit.commit().await.unwrap(),
        1 => drop(unit),
        2 => drop(CancelAfter::new(unit.commit(), 1, Cut::AtOnce).await),
        _ => {
            let mut unit = unit;
            drop(CancelAfter::new(run(unit.conn(), "SELECT pg_sleep(0.001)"), 1, Cut::AtOnce).await);
        }
    }
}

/// E8, S28, S30: after 1,000 checkouts by units that tried to remove the limits, each unit finds the configured
/// limits, the restricted role, its own search path and no lock.
#[tokio::test(flavor = "multi_thread")]
async fn e8_limits_hold_on_every_checkout() {
    let stage = Stage::new().await;
    let store = stage
        .builder()
        .max_connections(3)
        .statement_timeout(Duration::from_secs(7))
        .lock_timeout(Duration::from_secs(3))
        .idle_in_transaction_timeout(Duration::from_secs(11))
        .acquire_timeout(Duration::from_secs(60))
        .connect()
        .await
        .unwrap();
    let mut contexts = Vec::new();
    for (index, isolation) in
        [Isolation::Shared, Isolation::Shared, Isolation::Schema, Isolation::Schema, Isolation::Database]
            .into_iter()
            .enumerate()
    {
        contexts.push(context(&stage.tenant(&format!("tenant-{index}"), isolation).await));
    }
    let mut working = JoinSet::new();
    for worker in 0..4 {
        let (store, contexts) = (store.clone(), contexts.clone());
        working.spawn(async move {
            for round in 0..250 {
                let context = &contexts[(worker + round) % contexts.len()];
                let mut unit = match round % 3 {
                    0 => store.read(context).await.unwrap(),
                    _ => store.begin(context).await.unwrap(),
                };
                assert_eq!(settings(unit.conn()).await, expected(context), "{worker}: {round}");
                run(unit.conn(), ATTEMPTS[(worker * 3 + round) % ATTEMPTS.len()]).await.unwrap();
                end(unit, round / 3).await;
            }
        });
    }
    while let Some(done) = working.join_next().await {
        done.unwrap();
    }
}

/// The control: on sqlx's own pool, opened with the same limits, the limits are gone, and the same query finds this.
#[tokio::test]
async fn e8_control_a_plain_pool_loses_its_limits() {
    let stage = Stage::new().await;
    let options: PgConnectOptions = url(&stage.database).parse().unwrap();
    let options =
        options.options([("statement_timeout", "7s"), ("lock_timeout", "3s"), ("role", "multitenancy_app")]);
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let fresh = settings(&mut pool.acquire().await.unwrap()).await;
    assert!(fresh.starts_with("7s 3s") && fresh.ends_with("multitenancy_app 0"), "{fresh}");
    for attempt in ATTEMPTS {
        let mut unit = pool.begin().await.unwrap();
        run(&mut unit, attempt).await.unwrap();
        unit.commit().await.unwrap();
    }
    let left = settings(&mut pool.acquire().await.unwrap()).await;
    assert!(left.starts_with("0 0") && !left.contains("multitenancy_app") && left.ends_with('3'), "{left}");
}

async fn bounded(stage: &Stage, statement: u64, lock: u64) -> PgStore {
    let builder = stage.builder().max_connections(1).statement_timeout(Duration::from_millis(statement));
    builder.lock_timeout(Duration::from_millis(lock)).connect().await.unwrap()
}

/// E8: a statement over either of its limits is an overload error that states when to retry; the connection stays
/// usable.
#[tokio::test]
async fn e8_a_statement_over_its_limit_is_an_overload() {
    let stage = Stage::new().await;
    let acme = context(&stage.tenant("acme", Isolation::Shared).await);
    for (statement, lock, cause) in [(200, 10_000, "statement timeout"), (10_000, 200, "lock timeout")] {
        let store = bounded(&stage, statement, lock).await;
        let mut unit = store.begin(&acme).await.unwrap();
        let backend: i32 = value(unit.conn(), "SELECT pg_backend_pid()").await.unwrap();
        let mut other = stage.connection().await;
        run(&mut other, "BEGIN; LOCK TABLE tenants.multitenancy_users").await.unwrap();
        let refused = unit.users().find_by_email(&"ada@example.com".parse().unwrap()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused:?}");
        assert!(refused.retry_after().is_some() && format!("{refused:?}").contains(cause), "{refused:?}");
        assert!(unit.commit().await.is_err(), "what has failed is not committed");
        run(&mut other, "ROLLBACK").await.unwrap();

        let mut unit = store.begin(&acme).await.unwrap();
        assert_eq!(unit.users().find_by_email(&"ada@example.com".parse().unwrap()).await.unwrap(), None);
        assert_eq!(value::<i32>(unit.conn(), "SELECT pg_backend_pid()").await.unwrap(), backend);
        unit.commit().await.unwrap();
    }
}

/// A dropped read does not stay in its transaction, although no other unit wants its connection: a migration's ALTER
/// TABLE does not wait for it. The control: it does wait for a read that is still running.
#[tokio::test]
async fn dropped_read_does_not_block_migrations() {
    const ALTER: &str =
        "SET lock_timeout = '1s'; ALTER TABLE tenants.projects ADD COLUMN IF NOT EXISTS more text";
    let stage = Stage::new().await;
    let store = stage.builder().connect().await.unwrap();
    let acme = context(&stage.tenant("acme", Isolation::Shared).await);
    let mut watch = Watch::of(&store).await;
    for round in 0..20 {
        let mut unit = store.read(&acme).await.unwrap();
        run(unit.conn(), "SELECT name FROM projects").await.unwrap();
        let mut migration = stage.connection().await;
        if round == 0 {
            assert!(run(&mut migration, ALTER).await.is_err(), "the table is being read");
        }
        drop(unit);
        eventually("it has ended", Duration::from_secs(1), async || {
            watch.count("state LIKE 'idle in transaction%'").await == 0
        })
        .await;
        run(&mut migration, ALTER).await.unwrap();
    }
}
