//! The clauses of [`EventBus`]: the cases of [`bus_suite!`](crate::bus_suite).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use multitenancy_core::{
    Context, Error, Plane, Result, Store,
    bus::{Delivery, EventBus, EventHandler, Subscription},
    memory::MemoryStore,
    relay::{Drained, Relay, RelayConfig},
};

use crate::{ContextExt, TestEvent, fixtures, within_limit};

/// Opens buses for [`bus_suite!`](crate::bus_suite).
#[async_trait]
pub trait BusHarness: Send + Sync {
    /// A new bus without subscribers.
    async fn open(&self) -> Arc<dyn EventBus>;
}

/// `EventBus` 1: every subscriber whose pattern matches deals with the event, and nobody else.
pub async fn publish_1_reaches_who_wants_it(harness: &dyn BusHarness) {
    let bench = Bench::new(harness).await;
    for (name, pattern) in [
        ("all", "*"),
        ("prefix", "test.*"),
        ("exact", "test.happened"),
        ("other", "user.*"),
        ("near", "test.happen"),
    ] {
        bench.subscribe(name, pattern, |_| Ok(()));
    }
    let drained = bench.publish([TestEvent::new("a", 1), TestEvent::new("b", 1)]).await;
    assert_eq!((drained.delivered, drained.retried), (2, 0));
    for name in ["all", "prefix", "exact"] {
        bench.assert_seen(name, &["a 1", "b 1"]).await;
    }
    for name in ["other", "near"] {
        bench.assert_seen(name, &[]).await;
    }
}

/// `EventBus` 1: what a subscriber has failed at comes again, under the same id, until it has dealt with it.
pub async fn publish_1_brings_a_failed_event_again(harness: &dyn BusHarness) {
    let bench = Bench::new(harness).await;
    bench.subscribe("good", "*", |_| Ok(()));
    bench.subscribe("late", "*", |seen| if seen < 3 { Err(Error::internal("not yet")) } else { Ok(()) });
    bench.publish([TestEvent::new("a", 1)]).await;
    within_limit("the event to be dealt with", async {
        while bench.seen("late").len() < 3 {
            bench.relay.drain(Plane::Control).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(
        bench.seen("late").windows(2).all(|pair| pair[0] == pair[1]),
        "one event: {:?}",
        bench.seen("late")
    );
    assert!(!bench.seen("good").is_empty());
}

/// `EventBus` 2: one subscriber's failure or panic does not keep the event from another.
pub async fn publish_2_keeps_subscribers_apart(harness: &dyn BusHarness) {
    let bench = Bench::new(harness).await;
    bench.subscribe("a-fails", "*", |_| Err(Error::internal("no")));
    bench.subscribe("b-panics", "*", |_| panic!("a handler that panics on purpose"));
    bench.subscribe("c-good", "*", |_| Ok(()));
    bench.publish([TestEvent::new("a", 1)]).await;
    within_limit("the good one", async {
        while bench.seen("c-good").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// `EventBus` 3: an event without a subscriber is dealt with.
pub async fn publish_3_is_done_without_a_subscriber(harness: &dyn BusHarness) {
    let bench = Bench::new(harness).await;
    let drained = bench.publish([TestEvent::new("a", 1)]).await;
    assert_eq!(drained, Drained { delivered: 1, ..Drained::default() });
}

/// A second subscriber of the same name is an error, and the first one stays.
pub async fn subscribe_refuses_a_taken_name(harness: &dyn BusHarness) {
    let bench = Bench::new(harness).await;
    bench.subscribe("mail", "*", |_| Ok(()));
    let second = Subscription::new("mail", "*", async |_| Ok(())).unwrap();
    crate::failure(bench.bus.subscribe(second));
    bench.publish([TestEvent::new("a", 1)]).await;
    bench.assert_seen("mail", &["a 1"]).await;
}

/// The work is done in the context of the event's tenant, or of the control plane.
pub async fn publish_brings_the_context(harness: &dyn BusHarness) {
    let bench = Bench::new(harness).await;
    bench.subscribe("mail", "*", |_| Ok(()));
    let tenant = fixtures::active_tenant(&*bench.store, "acme").await;
    let plane = Context::Tenant(tenant.clone());
    plane.publish(&bench.store, [TestEvent::new("in-acme", 1)]).await;
    bench.relay.drain(plane.plane()).await.unwrap();
    bench.publish([TestEvent::new("on-platform", 1)]).await;
    bench.assert_seen("mail", &["in-acme 1", "on-platform 1"]).await;
    let contexts: Vec<_> = bench.log.lock().unwrap()["mail"].iter().map(|seen| seen.1).collect();
    assert_eq!(contexts, [Some(tenant.tenant_id()), None]);
}

type Seen = (String, Option<multitenancy_core::TenantId>);

/// A store, a relay and the bus, and what its subscribers have seen.
struct Bench {
    store: Arc<dyn Store>,
    bus: Arc<dyn EventBus>,
    relay: Relay,
    log: Arc<Mutex<BTreeMap<&'static str, Vec<Seen>>>>,
}

impl Bench {
    async fn new(harness: &dyn BusHarness) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let bus = harness.open().await;
        let config = RelayConfig { backoff: Duration::from_millis(1), ..RelayConfig::default() };
        let relay = Relay::new(store.clone(), bus.clone(), config);
        Self { store, bus, relay, log: Arc::default() }
    }

    /// Adds a subscriber that is told how often it has seen events, this time included.
    fn subscribe(&self, name: &'static str, pattern: &str, outcome: fn(usize) -> Result<()>) {
        struct Handler(&'static str, fn(usize) -> Result<()>, Arc<Mutex<BTreeMap<&'static str, Vec<Seen>>>>);

        #[async_trait]
        impl EventHandler for Handler {
            async fn handle(&self, delivery: Arc<Delivery>) -> Result<()> {
                let event = delivery.event();
                let tenant = delivery.context().tenant_id();
                let seen = (format!("{} {}", event.aggregate.id, event.payload["number"]), tenant);
                let count = {
                    let mut log = self.2.lock().unwrap();
                    let all = log.entry(self.0).or_default();
                    all.push(seen);
                    all.len()
                };
                self.1(count)
            }
        }

        self.log.lock().unwrap().entry(name).or_default();
        let handler = Handler(name, outcome, self.log.clone());
        self.bus.subscribe(Subscription::new(name, pattern, handler).unwrap()).unwrap();
    }

    async fn publish(&self, events: impl IntoIterator<Item = TestEvent> + Send) -> Drained {
        fixtures::control().publish(&self.store, events).await;
        self.relay.drain(Plane::Control).await.unwrap()
    }

    fn seen(&self, name: &str) -> Vec<String> {
        self.log.lock().unwrap()[name].iter().map(|seen| seen.0.clone()).collect()
    }

    /// A broker has taken the event before its subscribers have seen it: waits for them.
    async fn assert_seen(&self, name: &str, expected: &[&str]) {
        let wait = async {
            while self.seen(name).len() < expected.len() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within_limit("subscribers", wait).await;
        let mut seen = self.seen(name);
        seen.sort_unstable();
        assert_eq!(seen, expected, "{name}");
    }
}
