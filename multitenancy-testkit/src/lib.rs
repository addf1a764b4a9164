#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is tests: it fails by panicking"
)]

pub mod audit;
pub mod bus;
pub mod cancellation;
mod cases;
mod check;
mod clock;
pub mod consumed;
pub mod durable;
mod event;
pub mod fixtures;
pub mod isolation;
pub mod mailer;
pub mod membership;
pub mod outbox;
mod plane;
pub mod postgres;
pub mod probe;
mod random;
mod registry;
mod rounds;
pub mod session;
pub mod store;
pub mod suite;
pub mod tenant;
pub mod user;

pub use self::{
    bus::BusHarness,
    check::{assert_fails, failure, retrying, within_limit},
    clock::MockClock,
    event::TestEvent,
    mailer::{MailFailure, MailerHarness, MemoryMailer},
    plane::{ContextExt, planes},
    probe::ProbedStore,
    random::SeededRandom,
    rounds::{rounds, smoke_or},
    suite::{BUS_CASES, CASES, Case, DURABLE_CASES, DurableHarness, Harness, MAILER_CASES},
};
