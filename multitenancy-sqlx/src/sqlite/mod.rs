//! SQLite: a control file, and one file per tenant.

mod builder;
mod codec;
mod engine;
mod error;
mod fence;
mod files;
mod location;
mod schema;
mod storage;
mod store;

#[path = "../shared.rs"]
mod shared;

use self::shared::{migrate, unit};
use self::store::SqliteStore as Engine;
pub use self::{
    builder::{SqliteStoreBuilder, Synchronous},
    store::SqliteStore,
    unit::Transaction as SqliteTransaction,
};

/// A transaction on the control plane: the registry, and the platform's users.
pub type SqliteControlTransaction = SqliteTransaction<multitenancy_core::ControlContext>;
