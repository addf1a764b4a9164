//! Maps PostgreSQL's errors.

use std::time::Duration;

use multitenancy_core::{Error, error::code};

/// Maps an error of the engine by its class (PostgreSQL manual, appendix A).
pub(super) fn store_error(error: sqlx::Error) -> Error {
    let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
    let overloaded = |message: &str| Error::overloaded(message, Duration::from_secs(1));
    match &*state {
        // Serialization failure, deadlock, lock not available, query canceled (by a timeout).
        _ if matches!(error, sqlx::Error::PoolTimedOut) => {
            overloaded("the storage is busy").with_source(error)
        }
        "40001" | "40P01" | "55P03" | "57014" => overloaded("the storage is busy").with_source(error),
        // Too many connections and configuration limits.
        "53300" | "53400" => overloaded("the storage has no connection left").with_source(error),
        "53100" => Error::of(code::STORAGE_FULL).with_source(error),
        _ if unreachable(&error) => Error::of(code::STORAGE_UNAVAILABLE).with_source(error),
        _ => Error::internal(error),
    }
}

/// Whether the server is unreachable or has ended the connection: shutdown, crash, start-up, dropped database, an
/// idle timeout (inside or outside a transaction), a transaction timeout.
pub(super) fn unreachable(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(error, sqlx::Error::Io(_))
        || code.is_some_and(|code| SESSION_ENDED.contains(&&*code) || lost(&code))
}

const SESSION_ENDED: [&str; 7] = ["57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"];

/// Whether the server answered: then the outcome of a COMMIT is known.
pub(super) fn answered(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().map(|error| error.code().unwrap_or_default());
    code.is_some_and(|code| !lost(&code) && code != "40003")
}

/// Connection exceptions: a pooler reports them when it has lost the server.
fn lost(code: &str) -> bool {
    code.starts_with("08")
}

/// Whether the error has this SQLSTATE.
pub(super) fn is(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some(code)
}

/// Whether the error says that a table does not exist.
pub(super) fn no_such_table(error: &sqlx::Error) -> bool {
    is(error, "42P01")
}
