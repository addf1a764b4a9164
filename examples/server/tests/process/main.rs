//! Runs the server as a process, and tests it from outside.
//!
//! Some tests need a PostgreSQL server, which `DATABASE_URL` names with a superuser. `cargo xtask test` provides one.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod announcement;
mod api;
mod causes;
mod crash;
mod database;
mod limits;
mod postgres;
mod postgres_refusals;
mod program;
mod refusals;
mod shutdown;

/// The demo's steps, which tests run against their own server.
#[path = "../../src/demo"]
mod demo {
    pub mod transcript;
    pub mod walkthrough;
}
