//! The clauses of [`Outbox`](multitenancy_core::event::Outbox), each on both planes.

mod claim;
mod race;
mod settle;

use std::sync::Arc;

use multitenancy_core::{
    Context, EventId, Store, Timestamp, UnitOfWorkExt, UserId,
    actor::Actor,
    event::{Aggregate, Claim, ClaimedEvent, Envelope, LeaseId},
};
use serde_json::json;

pub use self::{claim::*, race::*, settle::*};
use crate::{
    ContextExt, TestEvent,
    fixtures::{after, instant, lease, moment, odd_object, user},
    planes,
};

/// An event comes back as it was appended, to the microsecond, but for the sequence that the outbox gives it.
pub async fn append_keeps_every_field(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let someone: UserId = user("ada@example.com").id;
        let actors = [
            Actor::Anonymous,
            Actor::PlatformUser { id: someone },
            Actor::TenantUser { id: someone },
            Actor::System { reason: "тест \"'\\".into() },
        ];
        let mut stored = Vec::new();
        let mut unit = plane.begin(&store).await.unwrap();
        for (index, actor) in (0..).zip(actors) {
            let event = Envelope {
                event_id: EventId::generate(store.environment()),
                event_type: "test.happened".into(),
                version: 3 + index,
                occurred_at: instant() + moment(),
                tenant: plane.tenant_id(),
                aggregate: Aggregate::new("проба", format!("a/b:{index} 日本")),
                sequence: 0,
                actor,
                correlation_id: (index > 0).then(|| format!("request-{index}")),
                payload: if index == 0 { json!(null) } else { odd_object().into() },
            };
            unit.outbox().append(&event).await.unwrap();
            stored.push(event);
        }
        unit.commit().await.unwrap();
        let claimed = claim(&store, &plane, lease(), instant(), 10).await.events;
        assert_eq!(claimed.len(), stored.len());
        for (claimed, stored) in claimed.into_iter().zip(stored) {
            let expected = Envelope { sequence: claimed.envelope.sequence, ..stored };
            assert_eq!(claimed, ClaimedEvent { envelope: expected, attempts: 1 });
        }
    }
}

/// `append` 1: the event is due at once, also to a clock that is behind.
pub async fn append_1_is_due_at_once(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1)]).await;
        let claimed = claim(&store, &plane, lease(), after(-3600), 10).await;
        assert_eq!(numbers(&claimed), [("a".into(), 1)]);
    }
}

/// `append` 2: the event's `sequence` is above that of every event appended to the plane before, in this unit or an
/// earlier one, also of those that have left.
pub async fn append_2_gives_rising_sequences(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let mut last = 0;
        for round in 0..4 {
            let events = (0..3).map(|number| TestEvent::new(format!("{round}-{number}"), number));
            plane.publish(&store, events).await;
            let held = lease();
            let claimed = claim(&store, &plane, held, instant(), 10).await;
            assert_eq!(claimed.events.len(), 3);
            let mut unit = plane.begin(&store).await.unwrap();
            for event in &claimed.events {
                assert!(event.envelope.sequence > last, "{} after {last}", event.envelope.sequence);
                last = event.envelope.sequence;
                assert!(unit.outbox().delivered(held, event.envelope.event_id).await.unwrap());
            }
            unit.commit().await.unwrap();
        }
    }
}

/// `append` 3: a unit that is dropped leaves nothing of it (S93).
pub async fn append_3_leaves_nothing_when_dropped(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let mut unit = plane.begin(&store).await.unwrap();
        unit.publish(TestEvent::new("a", 1)).await.unwrap();
        assert_eq!(unit.outbox().pending().await.unwrap(), 1, "to itself");
        drop(unit);
        assert_eq!(pending(&store, &plane).await, 0);
        assert_eq!(claim(&store, &plane, lease(), instant(), 10).await, nothing());
        plane.publish(&store, [TestEvent::new("a", 2)]).await;
        assert_eq!(numbers(&claim(&store, &plane, lease(), instant(), 10).await), [("a".into(), 2)]);
    }
}

/// `pending` counts the events that are not parked: waiting, held and given back.
pub async fn pending_counts_what_is_not_parked(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        assert_eq!(pending(&store, &plane).await, 0);
        plane.publish(&store, (0..4).map(|number| TestEvent::new(number.to_string(), number))).await;
        assert_eq!(pending(&store, &plane).await, 4);
        let held = lease();
        let claimed = claim(&store, &plane, held, instant(), 3).await;
        assert_eq!(pending(&store, &plane).await, 4, "held ones count");
        let [first, second, third] = ids(&claimed)[..] else { panic!("three were claimed") };
        let mut unit = plane.begin(&store).await.unwrap();
        unit.outbox().delivered(held, first).await.unwrap();
        unit.outbox().retry(held, second, after(60), "no").await.unwrap();
        unit.outbox().park(held, third, instant(), "never").await.unwrap();
        assert_eq!(unit.outbox().pending().await.unwrap(), 2);
        unit.commit().await.unwrap();
        assert_eq!(pending(&store, &plane).await, 2);
    }
}

/// Until when a claim made at `now` holds its events.
pub(crate) fn lease_end(now: Timestamp) -> Timestamp {
    now + chrono::TimeDelta::seconds(30)
}

/// Claims in a unit of its own, for 30 s from `now`.
pub(crate) async fn claim(
    store: &Arc<dyn Store>,
    plane: &Context,
    lease: LeaseId,
    now: Timestamp,
    limit: u32,
) -> Claim {
    let mut unit = plane.begin(store).await.unwrap();
    let claim = unit.outbox().claim(lease, now, lease_end(now), limit).await.unwrap();
    unit.commit().await.unwrap();
    claim
}

/// What a claim of an empty outbox takes.
pub(crate) fn nothing() -> Claim {
    Claim { events: Vec::new(), next_due: None }
}

/// The ids of the claimed events.
pub(crate) fn ids(claim: &Claim) -> Vec<EventId> {
    claim.events.iter().map(|event| event.envelope.event_id).collect()
}

/// Which [`TestEvent`]s were claimed.
fn numbers(claim: &Claim) -> Vec<(String, u64)> {
    claim.events.iter().map(|event| number(&event.envelope)).collect()
}

fn number(event: &Envelope) -> (String, u64) {
    let number = event.payload["number"].as_u64().expect("a test event has a number");
    (event.aggregate.id.clone(), number)
}

async fn pending(store: &Arc<dyn Store>, plane: &Context) -> u64 {
    let mut unit = plane.read(store).await.unwrap();
    unit.outbox().pending().await.unwrap()
}
