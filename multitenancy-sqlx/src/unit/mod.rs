//! What a unit of work is: its connection, its transaction and its fence, and the runs over many tenants.
//!
//! Compiled once for each engine (decision 16). This is what an engine has to bring:

use super::{Engine, codec, engine, error, migration, migrator};

mod fence;
mod fleet;
mod lease;
mod steps;
mod transaction;
mod work;

pub use self::transaction::Transaction;
pub(crate) use self::{
    fence::Mending,
    lease::{Lease, refused},
    work::Unit,
};
