use std::sync::Arc;

use crate::{
    actor::Origin,
    auth::Scope,
    error::Result,
    event::Envelope,
    id::{Plane, TenantId},
    store::{Store, UnitOfWork},
    tenant::{ControlContext, Tenant, TenantContext},
};

/// The plane that work belongs to, with the context to work there: where a request belongs, where a caller has signed
/// in, where an event happened. Cheap to clone.
///
/// It is evidence: the contexts in it can only be had from a resolved request, a delivered event, or
/// [`TenantContext::system`] and [`ControlContext::system`].
#[derive(Debug, Clone)]
pub enum Context {
    /// The control plane: the platform.
    Control(ControlContext),
    /// One tenant.
    Tenant(TenantContext),
}

impl Context {
    pub(crate) fn resolved(tenant: Option<Arc<Tenant>>, origin: Origin) -> Self {
        match tenant {
            None => Self::Control(ControlContext::resolved(origin)),
            Some(tenant) => Self::Tenant(TenantContext::resolved(tenant, origin)),
        }
    }

    /// This plane, for the handlers of `event`; 403 `tenant_inactive` for a tenant that is not active.
    pub(crate) fn delivered(&self, event: &Envelope) -> Result<Self> {
        Ok(match self {
            Self::Control(_) => Self::Control(ControlContext::delivered(event)),
            Self::Tenant(context) => Self::Tenant(TenantContext::delivered(context.tenant().clone(), event)?),
        })
    }

    /// The plane.
    pub fn plane(&self) -> Plane {
        self.tenant_id().map_or(Plane::Control, Plane::Tenant)
    }

    /// The scope of tokens on this plane.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Control(_) => Scope::Platform,
            Self::Tenant(_) => Scope::Tenant,
        }
    }

    /// The tenant, as it was when the context was made; `None` on the control plane.
    pub fn tenant(&self) -> Option<&Arc<Tenant>> {
        self.as_tenant().map(TenantContext::tenant)
    }

    /// The tenant's id; `None` on the control plane.
    pub fn tenant_id(&self) -> Option<TenantId> {
        self.as_tenant().map(TenantContext::tenant_id)
    }

    /// The context of the tenant; `None` on the control plane.
    pub fn as_tenant(&self) -> Option<&TenantContext> {
        match self {
            Self::Control(_) => None,
            Self::Tenant(context) => Some(context),
        }
    }

    /// Who does the work, and in the course of which request.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Control(context) => context.origin(),
            Self::Tenant(context) => context.origin(),
        }
    }

    /// Opens a unit of work on the plane: [`Store::control`] or [`Store::begin`].
    pub async fn begin(&self, store: &Arc<dyn Store>) -> Result<Box<dyn UnitOfWork>> {
        Ok(match self {
            Self::Control(context) => store.control(context).await?,
            Self::Tenant(context) => store.begin(context).await?,
        })
    }

    /// Opens a unit that only reads: [`Store::read_control`] or [`Store::read`].
    pub async fn read(&self, store: &Arc<dyn Store>) -> Result<Box<dyn UnitOfWork>> {
        Ok(match self {
            Self::Control(context) => store.read_control(context).await?,
            Self::Tenant(context) => store.read(context).await?,
        })
    }
}
