//! What a unit of work on either plane is made of. The repositories are implemented on it.

use multitenancy_core::{
    Environment, Plane, Result,
    actor::Origin,
    event::{Envelope, Event},
};
use uuid::Uuid;

use super::{engine::Connection, lease::Lease};

pub(super) struct Unit {
    pub lease: Lease,
    pub plane: Plane,
    pub origin: Origin,
    pub environment: Environment,
}

impl Unit {
    /// What stands in the `tenant_id` column of every row of this plane.
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
        Envelope::seal(event, self.plane, &self.origin, &self.environment)
    }
}
