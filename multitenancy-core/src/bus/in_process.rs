use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use futures_util::future::join_all;
use tracing::Instrument;

use super::{Delivery, EventBus, Subscription};
use crate::error::{Error, Result};

/// Delivers to handlers in this process, all of them at once and each in a task of its own, so that a failing or
/// panicking one touches no other.
#[derive(Debug, Default)]
pub struct InProcessBus {
    subscriptions: RwLock<Vec<Subscription>>,
}

#[async_trait]
impl EventBus for InProcessBus {
    async fn publish(&self, delivery: Arc<Delivery>) -> Result<()> {
        let wanted: Vec<_> = self
            .subscriptions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|subscription| subscription.pattern().matches(&delivery.event().event_type))
            .cloned()
            .collect();
        let running = wanted.into_iter().map(|subscription| {
            let delivery = delivery.clone();
            async move {
                let span = tracing::info_span!("handle event", subscriber = subscription.name());
                let handler = subscription.handler().clone();
                let task = tokio::spawn(async move { handler.handle(delivery).await }.instrument(span));
                let guard = AbortOnDrop(task.abort_handle());
                let outcome = match task.await {
                    Ok(outcome) => outcome,
                    Err(panic) => Err(Error::internal(panic)),
                };
                drop(guard);
                outcome.map_err(|error| (subscription, error))
            }
        });
        let mut failure = None;
        for outcome in join_all(running).await {
            if let Err((subscription, error)) = outcome {
                let event = delivery.event();
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

/// A delivery that is given up (its time is over) takes its handlers along.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
