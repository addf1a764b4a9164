#![doc = include_str!("../README.md")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is tests: it fails by panicking"
)]

mod check;
mod clock;
mod event;
pub mod fixtures;
mod plane;
pub mod probe;
mod random;
mod rounds;

pub use self::{
    check::{assert_fails, failure, retrying, within_limit},
    clock::MockClock,
    event::TestEvent,
    plane::{PlaneContext, planes},
    probe::ProbedStore,
    random::SeededRandom,
    rounds::rounds,
};
