//! Facts worth telling: what an event is, and the outbox that makes it part of the transaction that causes it.

mod outbox;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::outbox::{Claim, ClaimedEvent, ConsumedEvents, LeaseId, Outbox};
use crate::{
    actor::{Actor, Origin},
    environment::{Environment, Timestamp},
    error::{Error, Result},
    id::{EventId, Plane, TenantId},
};

/// A fact. Its fields are its payload: facts and identifiers, never a secret.
///
/// ```
/// use multitenancy_core::event::{Aggregate, Event};
///
/// #[derive(serde::Serialize)]
/// struct ProjectCreated { id: uuid::Uuid }
///
/// impl Event for ProjectCreated {
///     const TYPE: &'static str = "project.created";
///     const VERSION: u32 = 1;
///
///     fn aggregate(&self) -> Aggregate {
///         Aggregate::new("project", self.id)
///     }
/// }
/// ```
pub trait Event: Serialize + Send + Sync {
    /// What happened, as `noun.verb_in_the_past`: the name subscriptions match.
    const TYPE: &'static str;
    /// The version of the payload's shape, from 1; raise it when a consumer must notice.
    const VERSION: u32;

    /// What it happened to. Events of one aggregate are delivered in their order.
    fn aggregate(&self) -> Aggregate;
}

/// What an event happened to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Aggregate {
    /// The kind of thing, such as `project`.
    pub kind: String,
    /// Which one.
    pub id: String,
}

impl Aggregate {
    /// The aggregate of this `kind` and `id`.
    pub fn new(kind: impl Into<String>, id: impl fmt::Display) -> Self {
        Self { kind: kind.into(), id: id.to_string() }
    }
}

/// An event as it is stored and delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The same at every redelivery: what consumers dedupe by.
    pub event_id: EventId,
    /// [`Event::TYPE`].
    #[serde(rename = "type")]
    pub event_type: String,
    /// [`Event::VERSION`].
    pub version: u32,
    /// When the transaction that caused it published it.
    pub occurred_at: Timestamp,
    /// Whose it is; `None` on the control plane.
    pub tenant: Option<TenantId>,
    /// What it happened to.
    pub aggregate: Aggregate,
    /// Its place among the events of its plane. Given by the outbox; 0 before.
    pub sequence: i64,
    /// Who caused it.
    pub actor: Actor,
    /// The request in the course of which it was caused.
    pub correlation_id: Option<String>,
    /// The event's fields.
    pub payload: serde_json::Value,
}

impl Envelope {
    /// Wraps `event`, caused by `origin` in `plane` now.
    pub fn seal<E: Event>(
        event: &E,
        plane: Plane,
        origin: &Origin,
        environment: &Environment,
    ) -> Result<Self> {
        let fault = |error| Error::internal(error).with_context("event", E::TYPE);
        let payload = serde_json::to_string(event).map_err(fault)?;
        Ok(Self {
            event_id: EventId::generate(environment),
            event_type: E::TYPE.to_owned(),
            version: E::VERSION,
            occurred_at: environment.now(),
            tenant: plane.tenant(),
            aggregate: event.aggregate(),
            sequence: 0,
            actor: origin.actor.clone(),
            correlation_id: origin.request_id.as_ref().map(ToString::to_string),
            // Read back: what is nested too deeply to be read must not get into an outbox.
            payload: serde_json::from_str(&payload).map_err(fault)?,
        })
    }

    /// Where the event belongs.
    pub fn plane(&self) -> Plane {
        self.tenant.map_or(Plane::Control, Plane::Tenant)
    }
}
