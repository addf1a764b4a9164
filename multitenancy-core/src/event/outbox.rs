use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;

use super::Envelope;
use crate::{
    environment::{Environment, Timestamp},
    error::Result,
    id::EventId,
};

/// The events of one plane that still have to be delivered. Part of a unit of work: what is appended exists when
/// and only when the unit commits (S93).
///
/// # Behavior
/// An event is *due* when it is not parked, its `not_before` has come, no lease holds it, and no earlier event of
/// its aggregate that is not parked is still in the outbox. So a failing event holds back its own aggregate and
/// nothing else (S96).
#[async_trait]
pub trait Outbox: Send {
    /// Adds an event.
    ///
    /// 1. It is due at once.
    /// 2. It gets a `sequence` above that of every event appended to the plane before.
    /// 3. A unit that is dropped leaves nothing of it.
    async fn append(&mut self, event: &Envelope) -> Result<()>;

    /// Takes up to `limit` due events under `lease` until `until`, and counts an attempt for each.
    ///
    /// 1. Events come in the order of their sequence, at most one of an aggregate.
    /// 2. What another lease holds that has not ended by `now` is left alone; what it held past its end is taken
    ///    (S99).
    /// 3. [`Claim::next_due`] is the earliest instant at which anything left behind may become due, with the ends
    ///    of the leases just given; `None` when nothing is left.
    async fn claim(&mut self, lease: LeaseId, now: Timestamp, until: Timestamp, limit: u32) -> Result<Claim>;

    /// Removes a delivered event.
    ///
    /// 1. `false`, and nothing happens, when `lease` does not hold it any more.
    async fn delivered(&mut self, lease: LeaseId, event: EventId) -> Result<bool>;

    /// Gives a failed event back, due again at `not_before`.
    ///
    /// 1. `false`, and nothing happens, when `lease` does not hold it any more.
    /// 2. `error` is kept for the operator.
    async fn retry(
        &mut self,
        lease: LeaseId,
        event: EventId,
        not_before: Timestamp,
        error: &str,
    ) -> Result<bool>;

    /// Puts an event aside for an operator: it is not delivered again and holds nothing back.
    ///
    /// 1. `false`, and nothing happens, when `lease` does not hold it any more.
    /// 2. The event and `error` are kept.
    async fn park(&mut self, lease: LeaseId, event: EventId, at: Timestamp, error: &str) -> Result<bool>;

    /// The number of events that are not parked.
    async fn pending(&mut self) -> Result<u64>;

    /// The parked events, oldest first, at most `limit`.
    async fn parked(&mut self, limit: u32) -> Result<Vec<Envelope>>;
}

/// Which events a consumer has already dealt with: recorded in the transaction of the effect, so that a
/// redelivery has no second one (S97).
#[async_trait]
pub trait ConsumedEvents: Send {
    /// Records that `consumer` deals with `event`.
    ///
    /// 1. `true` the first time, `false` at every later one.
    /// 2. Consumers do not see each other's records.
    /// 3. A unit that is dropped leaves nothing of it.
    async fn record(&mut self, consumer: &str, event: EventId) -> Result<bool>;

    /// Whether `consumer` has dealt with `event`: for effects outside the store, which no transaction can hold.
    async fn contains(&mut self, consumer: &str, event: EventId) -> Result<bool>;
}

/// What [`Outbox::claim`] took.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The events taken.
    pub events: Vec<ClaimedEvent>,
    /// When to look again.
    pub next_due: Option<Timestamp>,
}

/// An event under a lease.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedEvent {
    /// The event.
    pub envelope: Envelope,
    /// How often it has been claimed, this time included.
    pub attempts: u32,
}

/// Names one worker's hold on events. A new one for every claim, so that a late worker can not speak for an event
/// that has since been given to another (fencing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseId(Uuid);

impl LeaseId {
    /// A new lease.
    pub fn generate(environment: &Environment) -> Self {
        Self(environment.uuid())
    }

    /// The lease stored as `uuid`.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The value to store.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
