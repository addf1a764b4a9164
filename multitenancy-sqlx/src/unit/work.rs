//! The unit of work on either plane. The repositories are implemented on it.

use multitenancy_core::{
    Plane, Result, Store,
    actor::Origin,
    event::{Envelope, Event},
};
use uuid::Uuid;

use super::{Engine, Lease, engine::Connection};

pub(crate) struct Unit {
    pub lease: Lease,
    pub plane: Plane,
    pub origin: Origin,
    pub store: Engine,
    /// Whether the unit bypasses its tenant's fence: the caller that began it knows that the tenant is closed.
    pub bypasses_fence: bool,
}

impl Unit {
    pub fn new(lease: Lease, plane: Plane, origin: &Origin, store: &Engine) -> Self {
        let (origin, store) = (origin.clone(), store.clone());
        Self { lease, plane, origin, store, bypasses_fence: false }
    }

    pub async fn commit(self) -> Result<()> {
        match self.plane {
            Plane::Tenant(tenant) if self.lease.writes() && !self.bypasses_fence => {
                self.commit_inside(tenant).await
            }
            Plane::Control | Plane::Tenant(_) => self.lease.commit(None).await,
        }
    }

    /// The `tenant_id` of every row of this plane.
    pub fn scope(&self) -> Uuid {
        self.plane.scope()
    }

    pub fn connection(&mut self) -> Result<&mut Connection> {
        self.lease.connection()
    }

    pub fn writable(&mut self) -> Result<&mut Connection> {
        self.lease.writable()
    }

    pub fn seal<E: Event>(&self, event: &E) -> Result<Envelope> {
        Envelope::seal(event, self.plane, &self.origin, self.store.environment())
    }
}
