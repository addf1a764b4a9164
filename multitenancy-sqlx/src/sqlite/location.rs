//! Where a plane's rows are: in its own file.

use std::fmt;

use multitenancy_core::{Plane, Tenant};

use super::unit::Access;

/// The file of a plane.
#[derive(Clone, Copy)]
pub(crate) struct StorageLocation(pub Plane);

impl StorageLocation {
    pub fn of(tenant: &Tenant) -> Self {
        Self(Plane::Tenant(tenant.id))
    }

    pub fn control() -> Self {
        Self(Plane::Control)
    }

    /// The plane whose marker holds the version.
    pub fn plane(self) -> Plane {
        self.0
    }
}

impl fmt::Display for StorageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file of {}", self.0)
    }
}

/// A file, opened to read or to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub plane: Plane,
    pub access: Access,
}
