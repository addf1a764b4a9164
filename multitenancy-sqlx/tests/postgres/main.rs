//! The PostgreSQL store passes the suites that every adapter runs, with each isolation.
//!
//! Needs a server: `DATABASE_URL` says which, as a role that may make databases and roles. `cargo xtask test` starts one.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod answers;
mod application;
mod audit_log;
mod audit_program;
mod bouncer;
mod catalogue;
mod fleet;
mod isolation;
mod killed;
mod limits;
mod listening;
mod logins;
mod lost_replies;
#[path = "../common/migrator.rs"]
mod migrator;
mod pooler;
mod provisioning;
mod proxy;
mod query_text;
mod sabotage;
mod server;
mod session;
mod stage;
mod storm;
mod suspension;
mod template;
mod timeouts;
mod watch;

use multitenancy_core::Isolation;
use multitenancy_testkit::{conformance_suite, durable_suite, isolation_suite};
use server::Server;

mod shared {
    use super::*;
    conformance_suite!(Server::new(Isolation::Shared));
    durable_suite!(Server::new(Isolation::Shared));
}

mod schema {
    use super::*;
    isolation_suite!(Server::new(Isolation::Schema));
    durable_suite!(Server::new(Isolation::Schema));
}

mod database {
    use super::*;
    isolation_suite!(Server::new(Isolation::Database));
    durable_suite!(Server::new(Isolation::Database));
}
