use std::sync::Arc;

use multitenancy_core::{Context, EventId, Store, event::LeaseId};

use super::{claim, ids, lease_end, nothing, numbers, pending};
use crate::{
    ContextExt, TestEvent,
    fixtures::{after, instant, lease, moment},
    planes,
};

/// How a worker ends its hold on an event.
#[derive(Debug, Clone, Copy)]
enum Settle {
    Delivered,
    Retry,
    Park,
}

impl Settle {
    async fn apply(self, store: &Arc<dyn Store>, plane: &Context, lease: LeaseId, event: EventId) -> bool {
        let mut unit = plane.begin(store).await.unwrap();
        let outbox = unit.outbox();
        let settled = match self {
            Self::Delivered => outbox.delivered(lease, event).await,
            Self::Retry => outbox.retry(lease, event, after(3600), "no").await,
            Self::Park => outbox.park(lease, event, instant(), "never").await,
        };
        let settled = settled.unwrap();
        unit.commit().await.unwrap();
        settled
    }
}

/// `delivered` removes the event, and lets the next of its aggregate go.
pub async fn delivered_lets_the_next_go(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("a", 2)]).await;
        let held = lease();
        let first = claim(&store, &plane, held, instant(), 10).await;
        assert!(Settle::Delivered.apply(&store, &plane, held, ids(&first)[0]).await);
        assert_eq!(pending(&store, &plane).await, 1);
        let second = claim(&store, &plane, lease(), instant(), 10).await;
        assert_eq!(numbers(&second), [("a".into(), 2)]);
    }
}

/// `delivered` 1: `false`, and nothing happens, when the lease does not hold the event any more.
pub async fn delivered_1_is_false_for_a_late_worker(store: Arc<dyn Store>) {
    refuses_who_does_not_hold(store, Settle::Delivered).await;
}

/// `retry` 1: `false`, and nothing happens, when the lease does not hold the event any more.
pub async fn retry_1_is_false_for_a_late_worker(store: Arc<dyn Store>) {
    refuses_who_does_not_hold(store, Settle::Retry).await;
}

/// `park` 1: `false`, and nothing happens, when the lease does not hold the event any more.
pub async fn park_1_is_false_for_a_late_worker(store: Arc<dyn Store>) {
    refuses_who_does_not_hold(store, Settle::Park).await;
}

/// Nobody settles what another worker holds, what nobody holds, or what has been settled (S99).
async fn refuses_who_does_not_hold(store: Arc<dyn Store>, settle: Settle) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("b", 1)]).await;
        let (late, next) = (lease(), lease());
        let claimed = claim(&store, &plane, late, instant(), 1).await;
        let event = ids(&claimed)[0];
        assert!(!settle.apply(&store, &plane, lease(), event).await, "{settle:?} by a stranger");
        let taken = claim(&store, &plane, next, lease_end(instant()), 1).await;
        assert_eq!(ids(&taken), [event], "held too long, and taken by the next");
        assert!(!settle.apply(&store, &plane, late, event).await, "{settle:?} by a late worker");
        assert_eq!(pending(&store, &plane).await, 2, "nothing happens");
        let mut unit = plane.read(&store).await.unwrap();
        assert_eq!(unit.outbox().parked(10).await.unwrap(), [], "nothing happens");
        drop(unit);
        assert!(settle.apply(&store, &plane, next, event).await, "{settle:?} by who holds it");
        assert!(!settle.apply(&store, &plane, next, event).await, "{settle:?} a second time");
        let unclaimed = EventId::generate(store.environment());
        assert!(!settle.apply(&store, &plane, next, unclaimed).await, "{settle:?} of no event");
    }
}

/// `retry`: the event is due again at `not_before`, not before.
pub async fn retry_is_due_again_at_its_time(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1)]).await;
        let held = lease();
        let claimed = claim(&store, &plane, held, instant(), 10).await;
        assert!(Settle::Retry.apply(&store, &plane, held, ids(&claimed)[0]).await);
        let early = claim(&store, &plane, lease(), after(3600) - moment(), 10).await;
        assert!(early.events.is_empty());
        let again = claim(&store, &plane, lease(), after(3600), 10).await;
        assert_eq!(ids(&again), ids(&claimed), "the same event under the same id");
    }
}

/// An event that failed holds back its own aggregate and nothing else (S96).
pub async fn retry_holds_back_its_own_aggregate_only(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let held = lease();
        let published = [("bad", 1), ("good", 1), ("bad", 2), ("good", 2)];
        plane.publish(&store, published.map(|(of, number)| TestEvent::new(of, number))).await;
        let claimed = claim(&store, &plane, held, instant(), 10).await;
        assert!(Settle::Retry.apply(&store, &plane, held, ids(&claimed)[0]).await);
        assert!(Settle::Delivered.apply(&store, &plane, held, ids(&claimed)[1]).await);
        plane.publish(&store, [TestEvent::new("bad", 3), TestEvent::new("new", 1)]).await;
        let next = claim(&store, &plane, lease(), after(1), 10).await;
        assert_eq!(numbers(&next), [("good".into(), 2), ("new".into(), 1)]);
    }
}

/// `park` 2: the event is kept, is not delivered again and holds nothing back.
pub async fn park_2_keeps_the_event_aside(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("a", 2)]).await;
        let held = lease();
        let claimed = claim(&store, &plane, held, instant(), 10).await;
        assert!(Settle::Park.apply(&store, &plane, held, ids(&claimed)[0]).await);
        let next = claim(&store, &plane, lease(), instant(), 10).await;
        assert_eq!(numbers(&next), [("a".into(), 2)]);
        let mut unit = plane.read(&store).await.unwrap();
        let parked = unit.outbox().parked(10).await.unwrap();
        assert_eq!(parked, [claimed.events[0].envelope.clone()]);
        drop(unit);
        let later = claim(&store, &plane, lease(), after(1_000_000), 10).await;
        assert_eq!(numbers(&later), [("a".into(), 2)], "never again");
    }
}

/// `parked` gives the oldest first, at most `limit`.
pub async fn parked_gives_the_oldest_first(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, (0..4).map(|number| TestEvent::new(number.to_string(), number))).await;
        let held = lease();
        let claimed = claim(&store, &plane, held, instant(), 10).await;
        for index in [2, 0, 3] {
            assert!(Settle::Park.apply(&store, &plane, held, ids(&claimed)[index]).await);
        }
        let mut unit = plane.read(&store).await.unwrap();
        for (limit, expected) in [(10, &[0, 2, 3][..]), (2, &[0, 2]), (0, &[])] {
            let parked = unit.outbox().parked(limit).await.unwrap();
            let found: Vec<_> = parked.iter().map(|event| super::number(event).1).collect();
            assert_eq!(found, expected, "at most {limit}");
        }
    }
}

/// A claim is part of its unit: one that is dropped holds nothing and counts no attempt.
pub async fn claim_leaves_nothing_when_dropped(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1)]).await;
        let mut unit = plane.begin(&store).await.unwrap();
        let dropped = unit.outbox().claim(lease(), instant(), after(30), 10).await.unwrap();
        assert_eq!(dropped.events.len(), 1);
        drop(unit);
        let claimed = claim(&store, &plane, lease(), instant(), 10).await;
        assert_eq!((ids(&claimed), claimed.events[0].attempts), (ids(&dropped), 1));
        assert_ne!(claimed, nothing());
    }
}
