//! Maps SQLite's errors.

use std::time::Duration;

use multitenancy_core::{Error, error::code};

/// Maps an error of the engine: busy is retryable, every other error is unexpected.
pub(super) fn store_error(error: sqlx::Error) -> Error {
    const BUSY: &str = "5";
    const BUSY_SNAPSHOT: &str = "517";
    const DISK_FULL: &str = "13";
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Error::overloaded("the storage is busy", Duration::from_secs(1)).with_source(error);
    }
    let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
    match &*state {
        BUSY | BUSY_SNAPSHOT => {
            Error::overloaded("the storage is busy", Duration::from_secs(1)).with_source(error)
        }
        DISK_FULL => Error::of(code::STORAGE_FULL).with_source(error),
        _ => Error::internal(error),
    }
}

/// Whether the engine answered: then the outcome of a COMMIT is known.
pub(super) fn answered(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some()
}

/// Whether the error says that a table does not exist.
pub(super) fn no_such_table(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|fault| fault.message().contains("no such table"))
}
