use multitenancy_core::Plane;

use super::location::StorageLocation;

/// A unit of work that is to be opened.
#[derive(Clone, Copy)]
pub(crate) struct UnitSpec {
    pub plane: Plane,
    /// Where the plane's rows are.
    pub location: StorageLocation,
    pub access: Access,
}

/// What a unit of work may do.
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
