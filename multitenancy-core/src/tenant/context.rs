use std::{fmt, sync::Arc};

use super::Tenant;
use crate::{
    actor::{Actor, Origin, RequestId},
    error::Result,
    event::Envelope,
    id::TenantId,
};

/// Whom work inside a tenant belongs to: the tenant's snapshot, who does it, and the request it is part of.
///
/// A plain value, handed from call to call: nothing depends on task-local or global state (S34). It has no public
/// constructor that takes an id; it is made by resolving a request, by the delivery of an event, or by
/// [`TenantContext::system`]. Cheap to clone.
#[derive(Clone)]
pub struct TenantContext {
    tenant: Arc<Tenant>,
    origin: Origin,
}

impl TenantContext {
    pub(crate) fn resolved(tenant: Arc<Tenant>, origin: Origin) -> Self {
        Self { tenant, origin }
    }

    pub(crate) fn delivered(tenant: Arc<Tenant>, event: &Envelope) -> Result<Self> {
        tenant.require_active()?;
        Ok(Self { tenant, origin: handling(event) })
    }

    /// Work of the system itself inside a tenant of any status, for `reason`. Logged at the level INFO, because
    /// nobody's rights stand behind it.
    pub fn system(tenant: Arc<Tenant>, reason: &'static str) -> Self {
        tracing::info!(tenant = %tenant.id, reason, "work of the system itself");
        Self::internal(tenant, reason)
    }

    /// The framework's own work, of which there is much.
    pub(crate) fn internal(tenant: Arc<Tenant>, reason: &'static str) -> Self {
        Self { tenant, origin: Origin::system(reason) }
    }

    /// The tenant, as it was when the context was made.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The tenant's id.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant.id
    }

    /// Who does the work.
    pub fn actor(&self) -> &Actor {
        &self.origin.actor
    }

    /// Who does the work, and in the course of which request.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl fmt::Debug for TenantContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantContext")
            .field("tenant", &self.tenant.id)
            .field("slug", &self.tenant.slug.as_str())
            .field("origin", &self.origin)
            .finish()
    }
}

/// Who does work on the control plane, and the request it is part of. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlContext {
    origin: Origin,
}

impl ControlContext {
    pub(crate) fn resolved(origin: Origin) -> Self {
        Self { origin }
    }

    pub(crate) fn delivered(event: &Envelope) -> Self {
        Self { origin: handling(event) }
    }

    /// Work of the system itself on the control plane, for `reason`, which units of work carry as their actor.
    pub fn system(reason: &'static str) -> Self {
        Self { origin: Origin::system(reason) }
    }

    /// Who does the work, and in the course of which request.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// Work in the course of the request that caused the event.
fn handling(event: &Envelope) -> Origin {
    Origin {
        actor: Actor::System { reason: format!("handling {}", event.event_type) },
        request_id: event.correlation_id.as_deref().and_then(RequestId::parse),
    }
}
