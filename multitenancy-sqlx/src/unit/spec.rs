use multitenancy_core::Plane;

use super::location::StorageLocation;

/// The specification of a unit of work to open.
#[derive(Clone, Copy)]
pub(crate) struct UnitSpec {
    pub plane: Plane,
    /// The location of the plane's rows.
    pub location: StorageLocation,
    pub access: Access,
}

/// The access of a unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Write,
    Read,
}

impl UnitSpec {
    pub fn writes(self) -> bool {
        self.access == Access::Write
    }
}
