//! Hints for errors that prevent a store from opening.

use std::error::Error as StdError;

use multitenancy_core::{Error, ErrorKind};
use sqlx::postgres::PgConnectOptions;

/// Adds a hint to an error whose cause is the server's answer or a missing answer. It shows only hosts and ports of a
/// URL.
pub(super) fn with_hint(error: Error, runtime: &PgConnectOptions, admin: Option<&PgConnectOptions>) -> Error {
    let Some(refusal) = refusal(&error).filter(|_| error.kind() != ErrorKind::Config) else {
        return error;
    };
    let message = match &*refusal {
        NO_ANSWER => {
            let mut servers = vec![address(runtime)];
            servers.extend(admin.map(address));
            servers.dedup();
            let message = format!(
                "PostgreSQL does not answer at {}: start it, and check the host and the port in the URL",
                servers.join(" or ")
            );
            return Error::new(error.kind(), error.code(), message).with_source(error);
        }
        "28P01" | "28000" => {
            "PostgreSQL refuses the login, for the cause below: correct the user and the password in the URL, or make the \
             role with CREATE ROLE … LOGIN PASSWORD …"
        }
        "3D000" => {
            "the URL names a database that does not exist: CREATE DATABASE … OWNER …, the role that migrates, or correct \
             the URL"
        }
        "42501" => {
            "the role lacks a right, named below: give the store an admin URL, of a role that owns the database and has \
             CREATEDB, CREATEROLE and BYPASSRLS; and GRANT multitenancy_app to the role that serves"
        }
        "08P01" => {
            "the server at the URL refuses the start-up parameters, as a pooler in transaction mode does: declare \
             that it is one (transaction_pooler), and give the server's own URL as the admin URL"
        }
        _ => return error,
    };
    Error::config(message).with_source(error)
}

const NO_ANSWER: &str = "";

/// The SQLSTATE of the error's cause, or [`NO_ANSWER`].
fn refusal(error: &Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        match error.downcast_ref::<sqlx::Error>() {
            Some(sqlx::Error::Database(answer)) => return answer.code().map(Into::into),
            Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => return Some(NO_ANSWER.to_owned()),
            _ => cause = error.source(),
        }
    }
    None
}

fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(directory) => directory.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}
