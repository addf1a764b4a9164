//! Runs the server as an operator does, and looks at it from outside.
//!
//! Those on PostgreSQL need a server: `DATABASE_URL` says which, as a role that may do everything. `cargo xtask test` finds,
//! starts or installs one.
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

/// The demonstration, to be played against a server of the test.
#[path = "../../src/demo"]
mod demo {
    pub mod transcript;
    pub mod walkthrough;
}
