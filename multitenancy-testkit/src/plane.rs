use std::sync::Arc;

use multitenancy_core::{
    ControlContext, Plane, Result, Store, TenantContext, TenantId, UnitOfWork, UnitOfWorkExt, User,
};

use crate::{TestEvent, fixtures};

/// A plane, with the context to work on it.
#[derive(Debug, Clone)]
pub enum PlaneContext {
    /// The control plane.
    Control(ControlContext),
    /// One tenant.
    Tenant(TenantContext),
}

impl PlaneContext {
    /// The control plane, worked on by the system.
    pub fn control() -> Self {
        Self::Control(ControlContext::system("test"))
    }

    /// Which plane it is.
    pub fn plane(&self) -> Plane {
        self.tenant_id().map_or(Plane::Control, Plane::Tenant)
    }

    /// The tenant, in one.
    pub fn tenant_id(&self) -> Option<TenantId> {
        match self {
            Self::Control(_) => None,
            Self::Tenant(context) => Some(context.tenant_id()),
        }
    }

    /// Opens a unit of work on the plane.
    pub async fn begin(&self, store: &Arc<dyn Store>) -> Result<Box<dyn UnitOfWork>> {
        Ok(match self {
            Self::Control(context) => store.control(context).await?,
            Self::Tenant(context) => store.begin(context).await?,
        })
    }

    /// Opens a read-only unit on the plane.
    pub async fn read(&self, store: &Arc<dyn Store>) -> Result<Box<dyn UnitOfWork>> {
        Ok(match self {
            Self::Control(context) => store.read_control(context).await?,
            Self::Tenant(context) => store.read(context).await?,
        })
    }

    /// Adds a user without a password, in a unit of its own.
    pub async fn add_user(&self, store: &Arc<dyn Store>, user: &User) {
        let mut unit = self.begin(store).await.unwrap();
        unit.users().insert(user, None).await.unwrap();
        unit.commit().await.unwrap();
    }

    /// Publishes events, in a unit of its own.
    pub async fn publish(&self, store: &Arc<dyn Store>, events: impl IntoIterator<Item = TestEvent> + Send) {
        let events: Vec<_> = events.into_iter().collect();
        let mut unit = self.begin(store).await.unwrap();
        for event in events {
            unit.publish(event).await.unwrap();
        }
        unit.commit().await.unwrap();
    }
}

/// The control plane, and a new tenant: what every plane keeps is tried on both.
pub async fn planes(store: &Arc<dyn Store>) -> [PlaneContext; 2] {
    [PlaneContext::control(), PlaneContext::Tenant(fixtures::active_tenant(&**store, "acme").await)]
}
