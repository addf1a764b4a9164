//! The relay as it runs in the background, by itself. Where the clock is paused it moves on when no task has work left, so
//! what has not happened after a sleep does not happen.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use multitenancy_core::{
    Context, Error, Store, Tenancy, TenancyBuilder, Tenant,
    auth::{KeyRing, SigningKey},
    bus::{Delivery, Subscription},
    environment::monotonic,
    memory::MemoryStore,
    relay::RelayConfig,
    tenant::TenantStatus,
};
use multitenancy_testkit::{ContextExt, ProbedStore, TestEvent, fixtures, probe::Call, within_limit};
use tokio::time::Instant;

use crate::support::{SECRET, set_status};

type Log = Arc<Mutex<Vec<(String, Instant)>>>;

/// An application whose background work runs, and what its one subscriber is told.
fn running(store: Arc<dyn Store>, config: RelayConfig, handle: fn(&str) -> Duration) -> (Tenancy, Log) {
    let log = Log::default();
    let noting = log.clone();
    let subscription = Subscription::new("noting", "test.*", move |delivery: Arc<Delivery>| {
        let noting = noting.clone();
        async move {
            let name = delivery.event().aggregate.id.clone();
            tokio::time::sleep(handle(&name)).await;
            noting.lock().unwrap().push((name, monotonic()));
            Ok(())
        }
    });
    let builder = composed(store).relay(config).subscribe(subscription.unwrap());
    (builder.build().unwrap(), log)
}

fn composed(store: Arc<dyn Store>) -> TenancyBuilder {
    Tenancy::builder_dyn(store).keys(KeyRing::new(SigningKey::hs256(&SECRET.into()).unwrap()))
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

async fn tenant(store: &Arc<dyn Store>, slug: &str) -> Context {
    Context::Tenant(fixtures::active_tenant(&**store, slug).await)
}

async fn wait_for(log: &Log, count: usize) -> Vec<(String, Instant)> {
    within_limit("events", async {
        while log.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    log.lock().unwrap().clone()
}

/// An event is told promptly after its commit, on every plane, without anybody asking.
#[tokio::test(start_paused = true)]
async fn an_event_is_told_promptly() {
    let store = memory();
    let (_running, log) = running(store.clone(), RelayConfig::default(), |_| Duration::ZERO);
    let planes = [fixtures::control(), tenant(&store, "acme").await, tenant(&store, "globex").await];
    let mut slowest = Duration::ZERO;
    for round in 0..30 {
        let plane = &planes[round % planes.len()];
        plane.publish(&store, [TestEvent::new(format!("event-{round}"), 1)]).await;
        let committed = monotonic();
        let told = wait_for(&log, round + 1).await;
        assert_eq!(told[round].0, format!("event-{round}"));
        slowest = slowest.max(told[round].1.saturating_duration_since(committed));
    }
    println!("slowest: {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

/// What a process has left in its outboxes is told by the next one, without a signal.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_looks_through_all_outboxes() {
    let store = memory();
    let mut planes = vec![fixtures::control()];
    for index in 0..30 {
        planes.push(tenant(&store, &format!("tenant-{index}")).await);
    }
    for (index, plane) in planes.iter().enumerate() {
        plane.publish(&store, [TestEvent::new(format!("left-{index}"), 1)]).await;
    }
    while store.signals().try_next_outbox().is_some() {}
    let (_running, log) = running(store, RelayConfig::default(), |_| Duration::ZERO);
    let mut told: Vec<_> = wait_for(&log, planes.len()).await.into_iter().map(|(name, _)| name).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), planes.len());
}

/// What has failed is told again when its time has come, without a signal.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_event_comes_again_by_itself() {
    let store = memory();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let trying = attempts.clone();
    let subscription = Subscription::new("late", "test.*", move |_: Arc<Delivery>| {
        let mut attempts = trying.lock().unwrap();
        attempts.push(monotonic());
        let done = attempts.len() == 4;
        async move { if done { Ok(()) } else { Err(Error::internal("not yet")) } }
    });
    let config = RelayConfig { backoff: Duration::from_millis(40), ..RelayConfig::default() };
    let _running = composed(store.clone()).relay(config).subscribe(subscription.unwrap()).build().unwrap();
    let acme = tenant(&store, "acme").await;
    acme.publish(&store, [TestEvent::new("a", 1)]).await;
    within_limit("four attempts", async {
        while attempts.lock().unwrap().len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let attempts = attempts.lock().unwrap();
    for (pair, least) in attempts.windows(2).zip([40, 80, 160]) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(least), "{attempts:?}");
    }
}

/// A tenant with slow subscribers does not hold up another: planes are worked on beside each other.
#[tokio::test(start_paused = true)]
async fn a_slow_tenant_holds_up_no_other() {
    let store = memory();
    let slow = |name: &str| Duration::from_millis(if name == "slow" { 1500 } else { 0 });
    let (_running, log) = running(store.clone(), RelayConfig::default(), slow);
    let (slow, quick) = (tenant(&store, "slow").await, tenant(&store, "quick").await);
    slow.publish(&store, [TestEvent::new("slow", 1)]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let published = monotonic();
    quick.publish(&store, [TestEvent::new("quick", 1)]).await;
    let told = wait_for(&log, 1).await;
    assert_eq!(told[0].0, "quick");
    assert!(told[0].1 - published < Duration::from_millis(1000), "{:?}", told[0].1 - published);
    // Published while the plane is being worked on: looked at once more at the end.
    slow.publish(&store, [TestEvent::new("later", 1)]).await;
    let told: Vec<_> = wait_for(&log, 3).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(told, ["quick", "slow", "later"]);
}

/// Events that wait for their suspended tenant are told when it is active again.
#[tokio::test(start_paused = true)]
async fn an_activation_is_noticed() {
    let store = memory();
    let (_running, log) = running(store.clone(), RelayConfig::default(), |_| Duration::ZERO);
    let acme = fixtures::provisioned(&*store, "acme").await;
    let id = acme.id;
    set_status(&store, id, TenantStatus::Active, TenantStatus::Suspended).await;
    let knowing = fixtures::context(&Tenant { status: TenantStatus::Suspended, ..acme });
    Context::Tenant(knowing).publish(&store, [TestEvent::new("a", 1)]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(log.lock().unwrap().is_empty());
    set_status(&store, id, TenantStatus::Suspended, TenantStatus::Active).await;
    wait_for(&log, 1).await;
}

/// A fault of the store, and even a panic in it, is got over: the events come late, not never.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_store_are_got_over() {
    for panics in [false, true] {
        let (bare, broken) = (memory(), Arc::new(AtomicBool::new(false)));
        let met = Arc::new(tokio::sync::Notify::new());
        let (breaking, meeting) = (broken.clone(), met.clone());
        let probe = move |call: Call| {
            let breaks = call.name == "outbox.claim" && breaking.load(Ordering::Acquire);
            if breaks {
                meeting.notify_one();
            }
            async move {
                assert!(!(breaks && panics), "a panic on purpose");
                if breaks { Err(Error::internal("the disk is gone")) } else { Ok(()) }
            }
        };
        let (_running, log) =
            running(Arc::new(ProbedStore::new(bare.clone(), probe)), RelayConfig::default(), |_| {
                Duration::ZERO
            });
        let (acme, globex) = (tenant(&bare, "acme").await, tenant(&bare, "globex").await);
        broken.store(true, Ordering::Release);
        acme.publish(&bare, [TestEvent::new("a", 1)]).await;
        within_limit("the fault to be met", met.notified()).await;
        broken.store(false, Ordering::Release);
        globex.publish(&bare, [TestEvent::new("b", 1)]).await;
        let told: Vec<_> = wait_for(&log, 2).await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(told, ["b", "a"], "panics: {panics}");
    }
}

/// The background work ends with the last clone of the application.
#[tokio::test(start_paused = true)]
async fn the_work_ends_with_its_application() {
    let store = memory();
    let (application, log) = running(store.clone(), RelayConfig::default(), |_| Duration::ZERO);
    let acme = tenant(&store, "acme").await;
    acme.publish(&store, [TestEvent::new("a", 1)]).await;
    wait_for(&log, 1).await;
    let clone = application.clone();
    drop(application);
    acme.publish(&store, [TestEvent::new("b", 1)]).await;
    wait_for(&log, 2).await;
    drop(clone);
    tokio::time::sleep(Duration::from_millis(50)).await;
    acme.publish(&store, [TestEvent::new("c", 1)]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(log.lock().unwrap().len(), 2);
}
