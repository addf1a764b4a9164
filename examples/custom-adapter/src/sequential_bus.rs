use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use multitenancy::{
    Error, Result,
    bus::{Delivery, EventBus, Subscription},
};
use tokio::task::JoinSet;

/// Delivers to one subscriber after the other, in the order in which they subscribed.
#[derive(Debug, Default)]
pub struct SequentialBus {
    subscriptions: RwLock<Vec<Subscription>>,
}

#[async_trait]
impl EventBus for SequentialBus {
    async fn publish(&self, delivery: Arc<Delivery>) -> Result<()> {
        let subscriptions = self.subscriptions.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut outcome = Ok(());
        for subscription in subscriptions {
            if !subscription.pattern().matches(&delivery.event().event_type) {
                continue;
            }
            if let Err(error) = handle(&subscription, delivery.clone()).await {
                // The other subscribers get the event too; after this error all of them get it again.
                outcome = Err(error.with_context("subscriber", subscription.name()));
            }
        }
        outcome
    }

    fn subscribe(&self, subscription: Subscription) -> Result<()> {
        let mut subscriptions = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let name = subscription.name();
        if subscriptions.iter().any(|other| other.name() == name) {
            return Err(Error::config(format!("two event subscribers have the name {name}")));
        }
        subscriptions.push(subscription);
        Ok(())
    }
}

/// Runs the handler in a task, so that a panic becomes an error. The set aborts the task if the delivery is cancelled.
async fn handle(subscription: &Subscription, delivery: Arc<Delivery>) -> Result<()> {
    let handler = subscription.handler().clone();
    let mut task = JoinSet::new();
    task.spawn(async move { handler.handle(delivery).await });
    match task.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(panic)) => Err(Error::internal(panic)),
        None => Ok(()),
    }
}
