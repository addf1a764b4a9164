//! The parts of a unit of work: its connection, its transaction and its fence.

use super::{Engine, engine, error, location};

mod fence;
mod lease;
mod spec;
mod transaction;
mod work;

pub use self::transaction::Transaction;
pub(crate) use self::{
    fence::RepairsInFlight,
    lease::{Lease, refused},
    spec::{Access, UnitSpec},
    work::Unit,
};
