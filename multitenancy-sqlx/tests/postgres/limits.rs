//! The budget of connections: one limit over all tenants, fair to every tenant, with a limited wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use multitenancy_core::{ControlContext, ErrorKind, Isolation, TenantContext};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::fixtures::context;
use tokio::task::JoinSet;

use crate::{
    proxy::Proxy,
    server::url,
    stage::{Stage, builder, run, value},
    watch::{Watch, eventually},
};

const SOON: Duration = Duration::from_secs(5);

/// Ten times as many units of `tenant` as its limit allows; each runs for longer than the test.
fn burst(store: &PgStore, tenant: &TenantContext, count: usize) -> (JoinSet<()>, Arc<AtomicUsize>) {
    let (mut units, finished) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..count {
        let (store, tenant, finished) = (store.clone(), tenant.clone(), finished.clone());
        units.spawn(async move {
            if let Ok(mut unit) = store.begin(&tenant).await {
                let _cut_off = run(unit.conn(), "SELECT pg_sleep(30)").await;
            }
            finished.fetch_add(1, Ordering::SeqCst);
        });
    }
    (units, finished)
}

/// The number of served requests out of `count`.
async fn served(store: &PgStore, tenant: &TenantContext, count: usize) -> usize {
    let mut served = 0;
    for _ in 0..count {
        if let Ok(mut unit) = store.begin(tenant).await {
            run(unit.conn(), "INSERT INTO projects (name) VALUES ('b')").await.unwrap();
            unit.commit().await.unwrap();
            served += 1;
        }
    }
    served
}

/// E8: during a burst of one tenant, ten times its limit, all requests of another tenant are served. The control:
/// with one lane for all, none is.
#[tokio::test(flavor = "multi_thread")]
async fn e8_a_burst_leaves_room_for_other_tenants() {
    let stage = Stage::new().await;
    let a = context(&stage.tenant("aaa", Isolation::Shared).await);
    for (index, isolation) in
        [Isolation::Shared, Isolation::Schema, Isolation::Database].into_iter().enumerate()
    {
        let b = context(&stage.tenant(&format!("bbb-{index}"), isolation).await);
        for (width, expected) in [(4, 50), (8, 0)] {
            let wait = Duration::from_secs(if expected == 0 { 1 } else { 60 });
            let builder =
                stage.builder().max_connections(8).max_connections_per_tenant(width).acquire_timeout(wait);
            let store = builder.statement_timeout(Duration::from_secs(60)).connect().await.unwrap();
            let mut watch = Watch::of(&store).await;
            let (mut units, finished) = burst(&store, &a, 10 * width);
            let busy = i64::try_from(width).unwrap();
            eventually("the burst is at work", SOON, async || {
                watch.count("state = 'active' AND query LIKE '%pg_sleep%'").await == busy
            })
            .await;
            let count = if expected == 0 { 2 } else { expected };
            assert_eq!(served(&store, &b, count).await, expected, "{isolation:?} beside {width} of 8");
            if expected > 0 {
                assert_eq!(finished.load(Ordering::SeqCst), 0, "the burst is still at work");
            }
            units.shutdown().await;
            end_sleepers(&stage).await;
        }
    }
}

/// E8: a client that abandons slow reads again and again uses no more than its share of the server while those reads
/// run. The control: with one lane for all, no permit is left for another tenant.
#[tokio::test(flavor = "multi_thread")]
async fn e8_abandoned_reads_keep_their_permit() {
    let stage = Stage::new().await;
    let (a, b) = (stage.tenant("aaa", Isolation::Shared).await, stage.tenant("bbb", Isolation::Shared).await);
    let (a, b) = (context(&a), context(&b));
    for (width, expected) in [(4, 20), (8, 0)] {
        let builder = stage.builder().max_connections(8).max_connections_per_tenant(width);
        let builder = builder.acquire_timeout(Duration::from_millis(300));
        let store = builder.statement_timeout(Duration::from_secs(60)).connect().await.unwrap();
        let mut watch = Watch::of(&store).await;
        let mut begun = 0;
        for _ in 0..12 {
            let Ok(mut unit) = store.read(&a).await else { continue };
            begun += 1;
            let slow = run(unit.conn(), "SELECT pg_sleep(30)");
            assert!(tokio::time::timeout(Duration::from_millis(30), slow).await.is_err());
        }
        assert_eq!(begun, width);
        let busy = watch.count("state = 'active' AND query LIKE '%pg_sleep%'").await;
        assert_eq!(busy, i64::try_from(width).unwrap());
        assert_eq!(served(&store, &b, 20).await, expected, "beside {width} of 8");
        end_sleepers(&stage).await;
        eventually("its turns come back", SOON, async || store.read(&a).await.is_ok()).await;
    }
}

/// Ends every slow statement in the stage's database.
async fn end_sleepers(stage: &Stage) {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' \
               AND pid <> pg_backend_pid() AND datname = current_database()";
    stage.sql(end).await;
}

/// The number of this process's connections to a port of this machine, as the system counts them.
fn connections(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to = |line: &str| {
        let mut fields = line.split_whitespace().skip(2);
        let (remote, state) = (fields.next()?, fields.next()?);
        (remote.ends_with(&format!(":{port:04X}")) && state == ESTABLISHED).then_some(())
    };
    sockets.lines().filter_map(to).count()
}

/// The most connections seen while all of `tenants` are used, up to 60 at once.
async fn most_connections(store: &PgStore, port: u16, tenants: &[TenantContext]) -> usize {
    let mut most = 0;
    let mut units: JoinSet<()> = JoinSet::new();
    for tenant in tenants.iter().chain(tenants) {
        let (store, tenant) = (store.clone(), tenant.clone());
        units.spawn(async move {
            let mut unit = store.begin(&tenant).await.unwrap();
            run(unit.conn(), "INSERT INTO projects (name) VALUES ('x')").await.unwrap();
            unit.commit().await.unwrap();
        });
        while units.len() >= 60 {
            most = most.max(connections(port));
            units.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = units.join_next().await {
        most = most.max(connections(port));
        done.unwrap();
    }
    most
}

/// Never more connections than the budget and the listener: 500 tenants of all isolations, 20 of them with their own
/// databases. The control: with a wider budget the same count is higher. On one thread, so that no connection is
/// replaced during the count.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn e8_five_hundred_tenants_share_ten_connections() {
    const BUDGET: usize = 10;
    let stage = Stage::new().await;
    let mut tenants = Vec::new();
    for index in 0..500 {
        let isolation = match index % 25 {
            0 => Isolation::Database,
            1..=2 => Isolation::Schema,
            _ => Isolation::Shared,
        };
        tenants.push(context(&stage.tenant(&format!("tenant-{index}"), isolation).await));
    }
    for (budget, expected) in [(BUDGET, BUDGET / 2..=BUDGET + 1), (40, BUDGET + 2..=41)] {
        let proxy = Proxy::start().await;
        let builder = builder(&proxy.url(&stage.database)).admin_url(&url(&stage.database));
        let builder = builder.max_connections(budget).acquire_timeout(Duration::from_secs(60));
        let store = builder.connect().await.unwrap();
        let most = most_connections(&store, proxy.port, &tenants).await;
        assert!(expected.contains(&most), "{most} connections of {budget}");
    }
}

/// E8: a wait ends at its limit, the error states when to retry, and the metrics record the wait.
#[tokio::test]
async fn e8_waiting_is_bounded_and_measured() {
    const BOUND: Duration = Duration::from_millis(100);
    let stage = Stage::new().await;
    let (a, b) = (stage.tenant("aaa", Isolation::Shared).await, stage.tenant("bbb", Isolation::Schema).await);
    let store = stage.builder().max_connections(1).acquire_timeout(BOUND).connect().await.unwrap();
    // The connection of the start closes after a moment.
    store.begin(&context(&a)).await.unwrap().commit().await.unwrap();

    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let held = store.begin(&context(&a)).await.unwrap();
    for other in [&a, &b] {
        let refused = store.begin(&context(other)).await.map(drop).unwrap_err();
        assert_eq!((refused.kind(), refused.retry_after().is_some()), (ErrorKind::Overloaded, true));
    }
    drop(held);
    let (mut timeouts, mut waits) = (0, Vec::new());
    for (key, _, _, found) in metrics.snapshot().into_vec() {
        match (key.key().name(), found) {
            ("db_pool_timeouts_total", DebugValue::Counter(count)) => timeouts = count,
            ("db_pool_wait_seconds", DebugValue::Histogram(seconds)) => waits.extend(seconds),
            _ => {}
        }
    }
    assert_eq!(timeouts, 2);
    let bound = BOUND.as_secs_f64();
    let at_bound = waits.iter().filter(|wait| (bound..bound * 20.0).contains(&wait.0)).count();
    assert_eq!(at_bound, 2, "{waits:?}");
    store.begin(&context(&b)).await.unwrap().commit().await.unwrap();
}

/// A connection over its maximum age is replaced when it is returned; a younger one is not.
#[tokio::test]
async fn an_old_connection_is_replaced() {
    let stage = Stage::new().await;
    let acme = context(&stage.tenant("acme", Isolation::Shared).await);
    for (lifetime, replaced) in [(Duration::ZERO, true), (Duration::from_secs(3600), false)] {
        let store = stage.builder().max_connections(1).max_lifetime(lifetime).connect().await.unwrap();
        let mut backends = Vec::new();
        for _ in 0..3 {
            let mut unit = store.begin(&acme).await.unwrap();
            backends.push(value::<i32>(unit.conn(), "SELECT pg_backend_pid()").await.unwrap());
            unit.commit().await.unwrap();
        }
        backends.sort_unstable();
        backends.dedup();
        assert_eq!(backends.len(), if replaced { 3 } else { 1 });
    }
}

/// The statements that sqlx prepares on connections shared by schemas do not accumulate on the server.
#[tokio::test]
async fn prepared_statements_do_not_pile_up() {
    let stage = Stage::new().await;
    for isolation in [Isolation::Shared, Isolation::Schema, Isolation::Database] {
        let acme = context(&stage.tenant(&format!("acme-{}", isolation as u8), isolation).await);
        let store = stage.builder().max_connections(1).connect().await.unwrap();
        for _ in 0..50 {
            let mut unit = store.begin(&acme).await.unwrap();
            for _ in 0..3 {
                sqlx::query("SELECT 1").execute(unit.conn()).await.unwrap();
            }
            unit.commit().await.unwrap();
        }
        let mut unit = store.begin(&acme).await.unwrap();
        let prepared: i64 = value(unit.conn(), "SELECT count(*) FROM pg_prepared_statements").await.unwrap();
        assert!(prepared < 20, "{prepared} in {isolation:?}");
    }
}

/// Closing ends every connection, also the listener's; later units are refused.
#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_every_connection() {
    let stage = Stage::new().await;
    let acme = context(&stage.tenant("acme", Isolation::Database).await);
    let store = stage.builder().connect().await.unwrap();
    let mut watch = Watch::of(&store).await;
    let held = store.begin(&acme).await.unwrap();
    drop((store.read(&acme).await.unwrap(), store.begin(&acme).await.unwrap()));
    eventually("it listens", SOON, async || watch.listens().await).await;
    assert!(watch.all().await >= 4);
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    eventually("units are refused", SOON, async || {
        let refused = store.read_control(&ControlContext::system("test")).await.map(drop);
        refused.is_err_and(|error| error.code() == "storage_closed")
    })
    .await;
    held.commit().await.unwrap();
    closing.await.unwrap();
    eventually("all have ended", SOON, async || watch.all().await == 0).await;
}

/// A dropped store leaves no connection behind, neither an idle one nor the listener's.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_store_ends_every_connection() {
    let stage = Stage::new().await;
    let acme = context(&stage.tenant("acme", Isolation::Database).await);
    let store = stage.builder().connect().await.unwrap();
    let mut watch = Watch::of(&store).await;
    eventually("it listens", SOON, async || watch.listens().await).await;
    let mut held = store.begin(&acme).await.unwrap();
    drop((store.read(&acme).await.unwrap(), store.begin(&acme).await.unwrap()));
    drop(store);
    run(held.conn(), "INSERT INTO projects (name) VALUES ('x')").await.unwrap();
    held.commit().await.unwrap();
    eventually("all have ended", SOON, async || watch.all().await == 0).await;
}
