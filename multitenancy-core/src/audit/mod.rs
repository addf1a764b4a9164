//! The audit log: who did what, when, to which resource. A record is part of the transaction of the change that it
//! records, and is never changed.

mod repository;

use serde_json::{Map, Value};

pub use self::repository::AuditLog;
use crate::{
    actor::{Actor, Origin},
    environment::{Environment, Timestamp},
    event::Aggregate,
    id::AuditId,
};

/// One action, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// The record's identifier. Records are listed in the order of it.
    pub id: AuditId,
    /// The time of the action.
    pub at: Timestamp,
    /// The actor.
    pub actor: Actor,
    /// The action, as `noun.verb_in_the_past`, such as `session.revoked`.
    pub action: String,
    /// The resource that was acted on.
    pub resource: Aggregate,
    /// Further facts. Never a secret.
    pub details: Map<String, Value>,
    /// The request that the action was part of.
    pub request_id: Option<String>,
}

/// An action to record with a unit of work; see [`UnitOfWorkExt::record`](crate::UnitOfWorkExt::record), which adds the
/// actor, the time and the request.
///
/// ```
/// use multitenancy_core::{TenantTransaction, UnitOfWorkExt, audit::Action};
///
/// async fn archive(tx: &mut dyn TenantTransaction, project: uuid::Uuid) -> multitenancy_core::Result<()> {
///     tx.record(Action::new("project.archived", "project", project).detail("reason", "unused")).await
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Action {
    name: &'static str,
    resource: Aggregate,
    actor: Option<Actor>,
    details: Map<String, Value>,
}

impl Action {
    /// The action `name`, as `noun.verb_in_the_past`, on the resource of this `kind` and `id`.
    pub fn new(name: &'static str, kind: &str, id: impl std::fmt::Display) -> Self {
        Self { name, resource: Aggregate::new(kind, id), actor: None, details: Map::new() }
    }

    /// Names the actor, where it is not that of the unit of work: a user who signs in is not known before.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor: Some(actor), ..self }
    }

    /// Adds a fact. Never a secret.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The record of this action, done by `origin` now.
    pub(crate) fn record(self, origin: &Origin, environment: &Environment) -> AuditRecord {
        AuditRecord {
            id: AuditId::generate(environment),
            at: environment.now(),
            actor: self.actor.unwrap_or_else(|| origin.actor.clone()),
            action: self.name.to_owned(),
            resource: self.resource,
            details: self.details,
            request_id: origin.request_id.as_ref().map(ToString::to_string),
        }
    }
}
