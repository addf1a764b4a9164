//! What a unit of work is: its connection, its transaction and its fence.

use super::{Engine, engine, error};

mod fence;
mod lease;
mod transaction;
mod work;

pub use self::transaction::Transaction;
pub(crate) use self::{
    fence::RepairsInFlight,
    lease::{Lease, refused},
    work::Unit,
};
