//! S93, S95, S96, S97: from a commit to its subscribers, driven by hand on a clock that is told the time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use multitenancy_core::{
    Context, Error, ErrorKind, EventId, Result, TenancyBuilder, TenantContext, UnitOfWorkExt,
    bus::{Delivery, EventBus, EventHandler, InProcessBus, Subscription},
    environment::monotonic,
    relay::{Drained, RelayConfig},
    tenant::TenantStatus,
};
use multitenancy_testkit::{ContextExt, TestEvent, fixtures, rounds};
use tokio::task::JoinSet;

use crate::support::{App, set_status};

/// What a subscriber has been told: the aggregate, the number, and the event's id.
type Told = Arc<Mutex<Vec<(String, u64, EventId)>>>;

/// Notes what it is told, and answers as it is told to.
struct Noting {
    told: Told,
    answer: fn(&str, u64, usize) -> Result<()>,
}

#[async_trait]
impl EventHandler for Noting {
    async fn handle(&self, delivery: Arc<Delivery>) -> Result<()> {
        let event = delivery.event();
        let (of, number) = (event.aggregate.id.clone(), event.payload["number"].as_u64().unwrap_or_default());
        let times = {
            let mut told = self.told.lock().unwrap();
            told.push((of.clone(), number, event.event_id));
            told.iter().filter(|(.., id)| *id == event.event_id).count()
        };
        (self.answer)(&of, number, times)
    }
}

fn noting(name: &str, answer: fn(&str, u64, usize) -> Result<()>) -> (Subscription, Told) {
    let told = Told::default();
    let handler = Noting { told: told.clone(), answer };
    (Subscription::new(name, "test.*", handler).unwrap(), told)
}

fn numbers(told: &Told) -> Vec<(String, u64)> {
    told.lock().unwrap().iter().map(|(of, number, _)| (of.clone(), *number)).collect()
}

/// An application with these subscribers, and a tenant to publish in.
async fn app(subscriptions: Vec<Subscription>, config: RelayConfig) -> (App, Context) {
    let app = App::composed(
        |store| store,
        |builder| subscriptions.into_iter().fold(builder.relay(config), TenancyBuilder::subscribe),
    );
    let plane = Context::Tenant(app.tenant("acme").await.0);
    (app, plane)
}

pub async fn drain(app: &App, plane: &Context) -> Drained {
    app.tenancy.relay().drain(plane.plane()).await.unwrap()
}

/// Puts the clock to whenever something is due, until nothing is.
pub async fn drain_all(app: &App, plane: &Context, mut drained: Drained) {
    for _ in 0..50 {
        let Some(due) = drained.next_due else { return };
        app.clock.set(due);
        drained = drain(app, plane).await;
    }
    panic!("there is always something due: {drained:?}");
}

/// S93: what is committed is told, once; what is not committed never.
#[tokio::test]
async fn s93_what_is_committed_is_told_and_nothing_else() {
    let (subscription, told) = noting("all", |_, _, _| Ok(()));
    let (app, plane) = app(vec![subscription], RelayConfig::default()).await;
    let mut unit = plane.begin(&app.store).await.unwrap();
    unit.publish(TestEvent::new("dropped", 1)).await.unwrap();
    drop(unit);
    assert_eq!(drain(&app, &plane).await, Drained::default());
    let mut unit = plane.begin(&app.store).await.unwrap();
    let id = unit.publish(TestEvent::new("kept", 1)).await.unwrap();
    assert!(told.lock().unwrap().is_empty(), "before the commit");
    unit.commit().await.unwrap();
    assert_eq!(drain(&app, &plane).await, Drained { delivered: 1, ..Drained::default() });
    assert_eq!(drain(&app, &plane).await, Drained::default());
    assert_eq!(*told.lock().unwrap(), [("kept".to_owned(), 1, id)]);
}

/// S95: whoever crashes after telling an event and before noting that tells it again, under the same id.
#[tokio::test]
async fn s95_a_crash_after_telling_tells_again() {
    struct Crashing {
        inner: InProcessBus,
        crash: Arc<AtomicBool>,
    }

    #[async_trait]
    impl EventBus for Crashing {
        async fn publish(&self, delivery: Arc<Delivery>) -> Result<()> {
            self.inner.publish(delivery).await?;
            assert!(!self.crash.swap(false, Ordering::AcqRel), "a crash on purpose");
            Ok(())
        }

        fn subscribe(&self, subscription: Subscription) -> Result<()> {
            self.inner.subscribe(subscription)
        }
    }

    let (subscription, told) = noting("all", |_, _, _| Ok(()));
    let crash = Arc::new(AtomicBool::new(false));
    let bus = Crashing { inner: InProcessBus::default(), crash: crash.clone() };
    let app = App::composed(|store| store, |builder| builder.bus(bus).subscribe(subscription));
    let plane = Context::Tenant(app.tenant("acme").await.0);
    for round in 0..20 {
        plane.publish(&app.store, [TestEvent::new("a", round)]).await;
        crash.store(true, Ordering::Release);
        let (relay, id) = (app.tenancy.relay().clone(), plane.plane());
        assert!(tokio::spawn(async move { relay.drain(id).await }).await.is_err(), "crashed");
        let early = drain(&app, &plane).await;
        assert_eq!(early.delivered, 0, "its lease goes on");
        let free = early.next_due.expect("the end of the lease");
        assert_eq!((free - app.tenancy.environment().now()).num_seconds(), 30);
        app.clock.set(free);
        assert_eq!(drain(&app, &plane).await.delivered, 1);
    }
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 40, "each twice");
    assert!(told.chunks(2).all(|pair| pair[0] == pair[1]), "under the same id: {told:?}");
}

/// S96: events of one aggregate come in their order; one that fails holds back its own aggregate and no other.
#[tokio::test]
async fn s96_a_poisonous_event_blocks_its_aggregate_alone() {
    let (subscription, told) = noting("all", |of, number, times| match (of, number) {
        ("bad", 2) if times < 4 => Err(Error::internal("not yet")),
        _ => Ok(()),
    });
    let (app, plane) = app(vec![subscription], RelayConfig::default()).await;
    let events = (1..=4).flat_map(|number| ["bad", "good", "fine"].map(|of| TestEvent::new(of, number)));
    plane.publish(&app.store, events).await;
    let first = drain(&app, &plane).await;
    assert_eq!((first.delivered, first.retried, first.parked), (9, 1, 0));
    let of = |wanted: &str| -> Vec<u64> {
        numbers(&told).into_iter().filter(|(of, _)| of == wanted).map(|(_, number)| number).collect()
    };
    assert_eq!((of("good"), of("fine"), of("bad")), (vec![1, 2, 3, 4], vec![1, 2, 3, 4], vec![1, 2]));
    drain_all(&app, &plane, first).await;
    assert_eq!(of("bad"), [1, 2, 2, 2, 2, 3, 4], "in their order, the failed one again and again");
}

/// S97: ten redeliveries at once have one effect, because the consumer notes the event in the effect's transaction.
#[tokio::test(flavor = "multi_thread")]
async fn s97_ten_deliveries_at_once_have_one_effect() {
    let app = App::new();
    let context: TenantContext = app.tenant("acme").await.0;
    let effects = Arc::new(AtomicUsize::new(0));
    for _ in 0..rounds(20) {
        let event = EventId::generate(app.tenancy.environment());
        let mut deliveries = JoinSet::new();
        for _ in 0..10 {
            let (store, context, effects) = (app.store.clone(), context.clone(), effects.clone());
            deliveries.spawn(async move {
                let mut unit = store.begin(&context).await.unwrap();
                if unit.consumed().record("counter", event).await.unwrap() {
                    tokio::task::yield_now().await;
                    unit.publish(TestEvent::new("effect", 1)).await.unwrap();
                    unit.commit().await.unwrap();
                    effects.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        deliveries.join_all().await;
    }
    let mut unit = app.store.read(&context).await.unwrap();
    assert_eq!(unit.outbox().pending().await.unwrap(), rounds(20) as u64);
    assert_eq!(effects.load(Ordering::Relaxed), rounds(20));
}

/// Handlers are kept apart: one that fails, one that panics and one that hangs leave the others and the relay alone;
/// who hangs is cut off at the time limit.
#[tokio::test(start_paused = true)]
async fn handlers_are_kept_apart() {
    struct Hanging(Arc<AtomicBool>);

    #[async_trait]
    impl EventHandler for Hanging {
        async fn handle(&self, _delivery: Arc<Delivery>) -> Result<()> {
            struct Gone(Arc<AtomicBool>);
            impl Drop for Gone {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Release);
                }
            }
            let _gone = Gone(self.0.clone());
            std::future::pending().await
        }
    }

    let (good, told) = noting("good", |_, _, _| Ok(()));
    let (failing, _) =
        noting("failing", |of, _, _| if of == "fails" { Err(Error::internal("no")) } else { Ok(()) });
    let (panicking, _) =
        noting("panicking", |of, _, _| if of == "panics" { panic!("on purpose") } else { Ok(()) });
    let config = RelayConfig {
        timeout: Duration::from_secs(2),
        lease: Duration::from_secs(5),
        ..RelayConfig::default()
    };
    let (app, plane) = app(vec![failing, panicking, good], config).await;
    plane.publish(&app.store, ["fails", "panics", "fine"].map(|of| TestEvent::new(of, 1))).await;
    let drained = drain(&app, &plane).await;
    assert_eq!((drained.delivered, drained.retried), (1, 2));
    assert_eq!(numbers(&told).len(), 3, "the good one is told everything");

    let cut_off = Arc::new(AtomicBool::new(false));
    let hanging = Subscription::new("hanging", "test.*", Hanging(cut_off.clone())).unwrap();
    app.tenancy.bus().subscribe(hanging).unwrap();
    plane.publish(&app.store, [TestEvent::new("fine", 2)]).await;
    let started = monotonic();
    let drained = drain(&app, &plane).await;
    assert_eq!((drained.delivered, drained.retried), (0, 1));
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!(numbers(&told).last(), Some(&("fine".to_owned(), 2)), "nor does it hang for the others");
    tokio::task::yield_now().await;
    assert!(cut_off.load(Ordering::Acquire), "and it does not go on behind the relay's back");
}

/// An event that comes again goes only to those who have not dealt with it yet: who failed, and who were cut off.
#[tokio::test]
async fn a_failed_event_comes_again_to_those_who_failed() {
    let (good, told) = noting("good", |_, _, _| Ok(()));
    let (failing, failed) =
        noting("failing", |_, _, times| if times < 3 { Err(Error::internal("not yet")) } else { Ok(()) });
    let (app, plane) = app(vec![failing, good], RelayConfig::default()).await;
    plane.publish(&app.store, [TestEvent::new("a", 1), TestEvent::new("a", 2)]).await;
    let first = drain(&app, &plane).await;
    drain_all(&app, &plane, first).await;
    let of = |number| ("a".to_owned(), number);
    assert_eq!(numbers(&failed), [of(1), of(1), of(1), of(2), of(2), of(2)]);
    assert_eq!(numbers(&told), [of(1), of(2)], "once each");
}

/// S98: what keeps failing is tried again with growing pauses, and parked after the last attempt; then its aggregate
/// goes on without it.
#[tokio::test]
async fn s98_what_keeps_failing_is_parked() {
    let (subscription, told) =
        noting("all", |_, number, _| if number == 1 { Err(Error::internal("never")) } else { Ok(()) });
    let config = RelayConfig { max_attempts: 6, ..RelayConfig::default() };
    let (app, plane) = app(vec![subscription], config).await;
    plane.publish(&app.store, [TestEvent::new("a", 1), TestEvent::new("a", 2)]).await;
    let mut pauses = Vec::new();
    let mut drained = drain(&app, &plane).await;
    while let Some(due) = drained.next_due {
        assert_eq!((drained.retried, drained.parked, drained.delivered), (1, 0, 0));
        let now = app.tenancy.environment().now();
        pauses.push((due - now).as_seconds_f64());
        app.clock.set(due - fixtures::moment());
        assert_eq!(drain(&app, &plane).await.retried, 0, "not before its time");
        app.clock.set(due);
        drained = drain(&app, &plane).await;
    }
    assert_eq!((drained.parked, drained.delivered), (1, 1));
    assert_eq!(pauses.len(), 5);
    for (pause, least) in pauses.iter().zip([5.0, 10.0, 20.0, 40.0, 80.0]) {
        assert!((least..=least * 1.25).contains(pause), "{pauses:?}");
    }
    let expected = [("a", 1); 6].into_iter().chain([("a", 2)]).map(|(of, number)| (of.to_owned(), number));
    assert_eq!(numbers(&told), expected.collect::<Vec<_>>());
    let mut unit = plane.read(&app.store).await.unwrap();
    let parked = unit.outbox().parked(10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].payload["number"], 1);
}

/// The events of a suspended tenant wait, the rest of a long outbox included, and are told once it is active again.
#[tokio::test]
async fn a_suspended_tenants_events_wait() {
    let (subscription, told) = noting("all", |_, _, _| Ok(()));
    let (app, plane) = app(vec![subscription], RelayConfig { batch: 1, ..RelayConfig::default() }).await;
    let id = plane.tenant_id().unwrap();
    plane.publish(&app.store, [TestEvent::new("a", 1), TestEvent::new("b", 1)]).await;
    set_status(&app.store, id, TenantStatus::Active, TenantStatus::Suspended).await;
    assert_eq!(drain(&app, &plane).await, Drained::default());
    assert!(told.lock().unwrap().is_empty());
    set_status(&app.store, id, TenantStatus::Suspended, TenantStatus::Active).await;
    while let Some(grown) = app.store.signals().try_next_outbox() {
        app.tenancy.relay().drain(grown).await.unwrap();
    }
    assert_eq!(numbers(&told).len(), 2, "its activation signals its outbox");

    // Suspended by a handler, while its outbox is being drained.
    let (store, armed) = (app.store.clone(), AtomicBool::new(true));
    let suspending = Subscription::new("suspending", "test.*", move |_: Arc<Delivery>| {
        let (store, first) = (store.clone(), armed.swap(false, Ordering::AcqRel));
        async move {
            if first {
                set_status(&store, id, TenantStatus::Active, TenantStatus::Suspended).await;
            }
            Ok(())
        }
    });
    app.tenancy.bus().subscribe(suspending.unwrap()).unwrap();
    plane.publish(&app.store, [TestEvent::new("a", 2), TestEvent::new("b", 2), TestEvent::new("c", 2)]).await;
    assert_eq!(drain(&app, &plane).await.delivered, 0, "that it was delivered is not noted either (S117)");
    assert_eq!(numbers(&told).len(), 3, "what comes after the suspension waits");
}

/// What is wired wrongly does not start.
#[tokio::test]
async fn two_subscribers_of_one_name_do_not_start() {
    let app = App::new();
    let subscribe = |name: &str| noting(name, |_, _, _| Ok(())).0;
    let build = |names: [&str; 2]| {
        let [one, other] = names.map(subscribe);
        crate::support::builder(app.store.clone()).subscribe(one).subscribe(other).build()
    };
    assert!(build(["one", "other"]).is_ok());
    for names in [["one", "one"], ["one", "welcome-mail"]] {
        assert_eq!(multitenancy_testkit::failure(build(names)).kind(), ErrorKind::Config);
    }
}
