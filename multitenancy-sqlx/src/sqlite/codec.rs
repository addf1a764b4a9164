//! Values as their columns hold them.

use chrono::DateTime;
use multitenancy_core::{Error, Result, Timestamp};
use serde_json::Value;

pub(super) fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

pub(super) fn instant(micros: i64) -> Result<Timestamp> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| Error::internal("an instant out of range").with_context("micros", micros))
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(Error::internal)
}

/// A JSON text that was stored as it is.
pub(super) fn json(text: &str) -> Result<Value> {
    from_json(text)
}
