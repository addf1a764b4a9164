//! The clauses of [`ConsumedEvents`](multitenancy_core::event::ConsumedEvents), each on both planes.

use std::sync::Arc;

use multitenancy_core::{Context, Environment, EventId, Store};
use tokio::task::JoinSet;

use crate::{planes, retrying, rounds, within_limit};

/// `record` 1: `true` the first time, `false` at every later one.
pub async fn record_1_is_true_once(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let event = event();
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.consumed().record("mail", event).await.unwrap());
        assert!(!unit.consumed().record("mail", event).await.unwrap(), "in the same unit");
        unit.commit().await.unwrap();
        assert!(!record(&store, &plane, "mail", event).await, "in a later unit");
        assert!(record(&store, &plane, "mail", self::event()).await, "another event");
    }
}

/// `record` 1: of many deliveries at once, one has the effect (S97).
pub async fn record_1_is_true_for_one_of_many_at_once(store: Arc<dyn Store>) {
    let planes = planes(&store).await;
    for round in 0..rounds(6) {
        let (plane, event) = (&planes[round % planes.len()], event());
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            let (store, plane) = (store.clone(), plane.clone());
            tasks.spawn(async move { record(&store, &plane, "mail", event).await });
        }
        let outcomes = within_limit("recording", tasks.join_all()).await;
        assert_eq!(outcomes.iter().filter(|first| **first).count(), 1);
    }
}

/// `record` 2: consumers do not see each other's records.
pub async fn record_2_keeps_consumers_apart(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let event = event();
        for consumer in ["mail", "Mail", "mail ", "", "почта"] {
            assert!(record(&store, &plane, consumer, event).await, "{consumer:?}");
        }
        for consumer in ["mail", "Mail", "mail ", "", "почта"] {
            assert!(!record(&store, &plane, consumer, event).await, "{consumer:?}");
        }
    }
}

/// `record` 3: a unit that is dropped leaves nothing of it.
pub async fn record_3_leaves_nothing_when_dropped(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let event = event();
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.consumed().record("mail", event).await.unwrap());
        drop(unit);
        let mut unit = plane.read(&store).await.unwrap();
        assert!(!unit.consumed().contains("mail", event).await.unwrap());
        drop(unit);
        assert!(record(&store, &plane, "mail", event).await);
    }
}

/// `contains` tells whether this consumer has dealt with this event.
pub async fn contains_tells_what_is_recorded(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let event = event();
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(!unit.consumed().contains("mail", event).await.unwrap());
        unit.consumed().record("mail", event).await.unwrap();
        assert!(unit.consumed().contains("mail", event).await.unwrap(), "in the same unit");
        unit.commit().await.unwrap();
        let mut unit = plane.read(&store).await.unwrap();
        assert!(unit.consumed().contains("mail", event).await.unwrap());
        assert!(!unit.consumed().contains("other", event).await.unwrap());
        assert!(!unit.consumed().contains("mail", self::event()).await.unwrap());
    }
}

fn event() -> EventId {
    EventId::generate(&Environment::system())
}

async fn record(store: &Arc<dyn Store>, plane: &Context, consumer: &str, event: EventId) -> bool {
    let record = || async {
        let mut unit = plane.begin(store).await?;
        let first = unit.consumed().record(consumer, event).await?;
        tokio::task::yield_now().await;
        unit.commit().await?;
        Ok(first)
    };
    retrying(record).await.unwrap()
}
