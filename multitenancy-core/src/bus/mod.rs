//! Telling events: the port that the relay delivers to, and the bus inside this process.

mod in_process;
mod pattern;

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use serde::de::DeserializeOwned;

pub use self::{in_process::InProcessBus, pattern::Pattern};
use crate::{
    access::Context,
    error::{Error, Result},
    event::Envelope,
};

/// Delivers events to those who subscribed to them.
///
/// # Behavior
/// 1. [`publish`](Self::publish) returns `Ok` once every subscriber whose pattern matches has dealt with the event
///    (or, for a broker, once the broker has taken it); otherwise the event is published again later, and whoever
///    has dealt with it may see it again. So subscribers dedupe by its id. Until all have dealt with it, or it is
///    parked, later events of its aggregate wait.
/// 2. One subscriber's failure or panic does not keep the event from another.
/// 3. An event without a subscriber is dealt with.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Delivers one event.
    async fn publish(&self, delivery: Arc<Delivery>) -> Result<()>;

    /// Adds a subscriber, from the next event on. A second one of the same name is an error.
    fn subscribe(&self, subscription: Subscription) -> Result<()>;
}

/// An event on its way to a subscriber, with the context to work in.
#[derive(Debug, Clone)]
pub struct Delivery {
    event: Envelope,
    context: Context,
}

impl Delivery {
    pub(crate) fn new(event: Envelope, context: Context) -> Self {
        Self { event, context }
    }

    /// The event.
    pub fn event(&self) -> &Envelope {
        &self.event
    }

    /// The plane the event happened on, to work there.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The event's fields, as `T`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.event.payload.clone())
            .map_err(|error| Error::internal(error).with_context("event", &self.event.event_type))
    }
}

/// Deals with events. A closure from `Arc<Delivery>` to a future is one.
#[async_trait]
pub trait EventHandler: Send + Sync {
    /// Deals with one event. An error, or a panic, brings the event again later.
    async fn handle(&self, delivery: Arc<Delivery>) -> Result<()>;
}

#[async_trait]
impl<F, O> EventHandler for F
where
    F: Fn(Arc<Delivery>) -> O + Send + Sync,
    O: Future<Output = Result<()>> + Send,
{
    async fn handle(&self, delivery: Arc<Delivery>) -> Result<()> {
        self(delivery).await
    }
}

/// Who deals with which events.
#[derive(Clone)]
pub struct Subscription {
    name: Arc<str>,
    pattern: Pattern,
    handler: Arc<dyn EventHandler>,
}

impl Subscription {
    /// `handler` deals with the events that `pattern` matches (`user.created`, `user.*`, `*`). `name` tells it apart
    /// in logs and as a [consumer](crate::event::ConsumedEvents), so it stays the same for good.
    pub fn new(
        name: impl Into<Arc<str>>,
        pattern: &str,
        handler: impl EventHandler + 'static,
    ) -> Result<Self> {
        Ok(Self { name: name.into(), pattern: pattern.parse()?, handler: Arc::new(handler) })
    }

    /// The subscriber's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Which events it wants.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Who deals with them.
    pub fn handler(&self) -> &Arc<dyn EventHandler> {
        &self.handler
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("name", &self.name).field("pattern", &self.pattern).finish()
    }
}
