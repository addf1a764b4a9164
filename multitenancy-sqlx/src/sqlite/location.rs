//! Where a plane's rows are: in a file of its own.

use std::fmt;

use multitenancy_core::{Plane, Tenant};

use super::unit::Access;

/// A plane's file.
#[derive(Clone, Copy)]
pub(crate) struct StorageLocation(pub Plane);

impl StorageLocation {
    pub fn of(tenant: &Tenant) -> Self {
        Self(Plane::Tenant(tenant.id))
    }

    pub fn control() -> Self {
        Self(Plane::Control)
    }

    /// Whose mark says where it is.
    pub fn plane(self) -> Plane {
        self.0
    }
}

impl fmt::Display for StorageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file of {}", self.0)
    }
}

/// A file, opened for one or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub plane: Plane,
    pub access: Access,
}
