//! How columns store instants: in microseconds since 1970.

use chrono::DateTime;
use multitenancy_core::{Error, Result, Timestamp};

pub(super) type Stored = i64;

pub(super) fn stored(at: Timestamp) -> Stored {
    at.timestamp_micros()
}

pub(super) fn instant(micros: Stored) -> Result<Timestamp> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| Error::internal("an instant out of range").with_context("micros", micros))
}
