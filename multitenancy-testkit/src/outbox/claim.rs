use std::sync::Arc;

use multitenancy_core::{
    Store, UnitOfWorkExt,
    event::{Aggregate, Event},
};
use serde::Serialize;

use super::{claim, ids, lease_end, nothing, numbers};
use crate::{
    ContextExt, TestEvent,
    fixtures::{after, instant, lease, moment},
    planes,
};

/// `claim` takes at most `limit` events.
pub async fn claim_takes_at_most_its_limit(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, (0..5).map(|number| TestEvent::new(number.to_string(), number))).await;
        for (limit, taken) in [(2, 2), (0, 0), (2, 2), (100, 1), (100, 0)] {
            let claimed = claim(&store, &plane, lease(), instant(), limit).await;
            assert_eq!(claimed.events.len(), taken, "of {limit}");
        }
    }
}

/// `claim` counts an attempt for each event, each time.
pub async fn claim_counts_attempts(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1)]).await;
        for attempt in 1..=4 {
            let held = lease();
            let claimed = claim(&store, &plane, held, instant(), 1).await;
            assert_eq!(claimed.events.len(), 1);
            assert_eq!(claimed.events[0].attempts, attempt);
            let mut unit = plane.begin(&store).await.unwrap();
            assert!(unit.outbox().retry(held, ids(&claimed)[0], instant(), "no").await.unwrap());
            unit.commit().await.unwrap();
        }
    }
}

/// `claim` 1: events come in the order of their sequence, at most one of an aggregate: the first.
pub async fn claim_1_takes_the_first_of_each_aggregate_in_order(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let published = [("b", 1), ("a", 1), ("b", 2), ("c", 1), ("a", 2), ("b", 3)];
        plane.publish(&store, published.map(|(of, number)| TestEvent::new(of, number))).await;
        let mut taken = Vec::new();
        loop {
            let held = lease();
            let claimed = claim(&store, &plane, held, instant(), 10).await;
            if claimed.events.is_empty() {
                break;
            }
            let sequences: Vec<_> = claimed.events.iter().map(|event| event.envelope.sequence).collect();
            assert!(sequences.is_sorted(), "{sequences:?}");
            taken.push(numbers(&claimed));
            assert!(
                claim(&store, &plane, lease(), instant(), 10).await.events.is_empty(),
                "an aggregate's next event waits for the one that is held"
            );
            let mut unit = plane.begin(&store).await.unwrap();
            for id in ids(&claimed) {
                assert!(unit.outbox().delivered(held, id).await.unwrap());
            }
            unit.commit().await.unwrap();
        }
        let batch = |events: &[(&str, u64)]| -> Vec<(String, u64)> {
            events.iter().map(|(of, number)| ((*of).to_owned(), *number)).collect()
        };
        let expected =
            [batch(&[("b", 1), ("a", 1), ("c", 1)]), batch(&[("b", 2), ("a", 2)]), batch(&[("b", 3)])];
        assert_eq!(taken, expected);
    }
}

/// `claim` 1: an aggregate is its kind and its id together, with nothing between them that could be in either.
pub async fn claim_1_tells_aggregates_apart(store: Arc<dyn Store>) {
    #[derive(Serialize)]
    struct Of(&'static str, &'static str);

    impl Event for Of {
        const TYPE: &'static str = "test.of";
        const VERSION: u32 = 1;

        fn aggregate(&self) -> Aggregate {
            Aggregate::new(self.0, self.1)
        }
    }

    for plane in planes(&store).await {
        let different = [("a", "b:c"), ("a:b", "c"), ("ab", "c"), ("a", "bc"), ("A", "bc"), ("", "abc")];
        let mut unit = plane.begin(&store).await.unwrap();
        for (kind, id) in different {
            unit.publish(Of(kind, id)).await.unwrap();
        }
        unit.commit().await.unwrap();
        let claimed = claim(&store, &plane, lease(), instant(), 10).await;
        let found: Vec<_> = claimed.events.iter().map(|event| event.envelope.aggregate.clone()).collect();
        assert_eq!(found, different.map(|(kind, id)| Aggregate::new(kind, id)));
    }
}

/// `claim` 2: what another lease holds that has not ended by `now` is left alone.
pub async fn claim_2_leaves_another_lease_alone(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("b", 1)]).await;
        let first = claim(&store, &plane, lease(), instant(), 1).await;
        let second = claim(&store, &plane, lease(), instant(), 10).await;
        assert_eq!(numbers(&first), [("a".into(), 1)]);
        assert_eq!(numbers(&second), [("b".into(), 1)]);
        let before_its_end = lease_end(instant()) - moment();
        assert!(claim(&store, &plane, lease(), before_its_end, 10).await.events.is_empty());
    }
}

/// `claim` 2: what a lease held past its end is taken, from that instant on (S99).
pub async fn claim_2_takes_what_was_held_too_long(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("a", 2)]).await;
        let late = claim(&store, &plane, lease(), instant(), 10).await;
        let next = claim(&store, &plane, lease(), lease_end(instant()), 10).await;
        assert_eq!(ids(&next), ids(&late), "the same event, and not the one that it holds back");
        assert_eq!(next.events[0].attempts, 2);
        assert!(claim(&store, &plane, lease(), lease_end(instant()), 10).await.events.is_empty());
    }
}

/// `claim` 3: [`next_due`](multitenancy_core::event::Claim::next_due) is `None` when nothing is left.
pub async fn claim_3_next_due_is_none_when_nothing_is_left(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        assert_eq!(claim(&store, &plane, lease(), instant(), 10).await, nothing());
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("b", 1)]).await;
        let held = lease();
        let claimed = claim(&store, &plane, held, instant(), 10).await;
        let mut unit = plane.begin(&store).await.unwrap();
        unit.outbox().delivered(held, ids(&claimed)[0]).await.unwrap();
        unit.outbox().park(held, ids(&claimed)[1], instant(), "never").await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(
            claim(&store, &plane, lease(), instant(), 10).await,
            nothing(),
            "parked ones are not left"
        );
    }
}

/// `claim` 3: `next_due` is the end of a lease, those just given included.
pub async fn claim_3_next_due_is_the_end_of_a_lease(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("a", 2), TestEvent::new("b", 1)]).await;
        let first = claim(&store, &plane, lease(), instant(), 1).await;
        assert!(first.next_due.expect("b is left") <= instant(), "b is due at once");
        let second = claim(&store, &plane, lease(), after(5), 10).await;
        assert_eq!(second.next_due, Some(lease_end(instant())), "of the two leases the one that ends first");
        let third = claim(&store, &plane, lease(), after(6), 10).await;
        assert_eq!(third.next_due, Some(lease_end(instant())));
    }
}

/// `claim` 3: `next_due` is when an event that was given back is due again.
pub async fn claim_3_next_due_is_when_a_failed_event_is_due(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("a", 2), TestEvent::new("b", 1)]).await;
        let held = lease();
        let claimed = claim(&store, &plane, held, instant(), 10).await;
        let [a, b] = ids(&claimed)[..] else { panic!("a and b are due") };
        let mut unit = plane.begin(&store).await.unwrap();
        unit.outbox().retry(held, a, after(7) + moment(), "no").await.unwrap();
        unit.outbox().retry(held, b, after(60), "no").await.unwrap();
        unit.commit().await.unwrap();
        let claimed = claim(&store, &plane, lease(), after(1), 10).await;
        assert!(claimed.events.is_empty(), "a second event of a failing aggregate is not due");
        assert_eq!(claimed.next_due, Some(after(7) + moment()));
    }
}
