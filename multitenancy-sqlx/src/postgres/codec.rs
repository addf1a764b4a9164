//! How columns store instants.

use multitenancy_core::{Result, Timestamp};

pub(super) type Stored = Timestamp;

pub(super) fn stored(at: Timestamp) -> Stored {
    at
}

pub(super) fn instant(stored: Stored) -> Result<Timestamp> {
    Ok(stored)
}
