//! The clauses of [`Store`](multitenancy_core::Store) and [`UnitOfWork`](multitenancy_core::UnitOfWork).

mod read_only;
mod storage;
mod units;

pub use self::{read_only::*, storage::*, units::*};
