//! What SQLite's errors mean.

use std::time::Duration;

use multitenancy_core::{Error, ErrorKind};
use sqlx::error::ErrorKind as Violation;

/// The answer to an error of the engine: busy is retryable, anything else a surprise.
pub(super) fn store_error(error: sqlx::Error) -> Error {
    const BUSY: &str = "5";
    const BUSY_SNAPSHOT: &str = "517";
    const DISK_FULL: &str = "13";
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
    match &*code {
        BUSY | BUSY_SNAPSHOT => {
            Error::overloaded("the storage is busy", Duration::from_secs(1)).with_source(error)
        }
        DISK_FULL => {
            let kind = ErrorKind::Unavailable;
            Error::new(kind, "storage_full", "the storage is full").with_source(error)
        }
        _ => Error::internal(error),
    }
}

/// Whether a unique index over `column` refused a row.
pub(super) fn violates_unique(error: &sqlx::Error, column: &str) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.kind() == Violation::UniqueViolation && error.message().ends_with(&format!(".{column}"))
    })
}
