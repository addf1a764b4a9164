use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use futures_util::future::join_all;
use quick_cache::sync::Cache;
use tracing::Instrument;

use super::{Delivery, EventBus, Subscription};
use crate::{
    error::{Error, Result},
    id::EventId,
};

/// Delivers to handlers in this process, all of them at once and each in a task of its own, so that a failing or
/// panicking one touches no other.
///
/// An event that comes again because one of them failed goes only to those that have not dealt with it: the last
/// 100,000 such successes are remembered, in memory. After a restart it goes to all of them.
#[derive(Debug)]
pub struct InProcessBus {
    subscriptions: RwLock<Vec<Subscription>>,
    dealt_with: Cache<(EventId, Arc<str>), ()>,
}

impl Default for InProcessBus {
    fn default() -> Self {
        Self { subscriptions: RwLock::default(), dealt_with: Cache::new(100_000) }
    }
}

impl InProcessBus {
    /// The subscribers that still have to deal with this event.
    fn wanting(&self, delivery: &Delivery) -> Vec<Subscription> {
        let event = delivery.event();
        let subscriptions = self.subscriptions.read().unwrap_or_else(PoisonError::into_inner);
        let wanting = subscriptions.iter().filter(|subscription| {
            subscription.pattern().matches(&event.event_type)
                && !self.dealt_with.contains_key(&(event.event_id, subscription.shared_name()))
        });
        wanting.cloned().collect()
    }
}

#[async_trait]
impl EventBus for InProcessBus {
    async fn publish(&self, delivery: Arc<Delivery>) -> Result<()> {
        let event = delivery.event();
        let wanting = self.wanting(&delivery);
        let shared = wanting.len() > 1;
        let running = wanting.iter().map(async |subscription| {
            let outcome = handle(subscription, delivery.clone()).await;
            // At once: the time of this delivery may be over before the others have answered.
            if shared && outcome.is_ok() {
                self.dealt_with.insert((event.event_id, subscription.shared_name()), ());
            }
            outcome
        });
        let mut failure = None;
        for (subscription, outcome) in wanting.iter().zip(join_all(running).await) {
            if let Err(error) = outcome {
                tracing::warn!(
                    subscriber = subscription.name(),
                    event_type = event.event_type,
                    event_id = %event.event_id,
                    error = ?error,
                    "event handler failed"
                );
                failure = Some(error.with_context("subscriber", subscription.name()));
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn subscribe(&self, subscription: Subscription) -> Result<()> {
        let mut subscriptions = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        if subscriptions.iter().any(|other| other.name() == subscription.name()) {
            return Err(Error::config(format!("two event subscribers are called {}", subscription.name())));
        }
        subscriptions.push(subscription);
        Ok(())
    }
}

/// Runs a handler in a task of its own, in a span that says what it handles.
async fn handle(subscription: &Subscription, delivery: Arc<Delivery>) -> Result<()> {
    let event = delivery.event();
    let span = tracing::info_span!(
        "handle event",
        subscriber = subscription.name(),
        event_type = event.event_type,
        event_id = %event.event_id,
        tenant = event.tenant.map(tracing::field::display),
        request_id = event.correlation_id,
    );
    let handler = subscription.handler().clone();
    let task = tokio::spawn(async move { handler.handle(delivery).await }.instrument(span));
    let _guard = AbortOnDrop(task.abort_handle());
    task.await.unwrap_or_else(|panic| Err(Error::internal(panic)))
}

/// A delivery that is given up (its time is over) takes its handlers along.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
