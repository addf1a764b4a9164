//! SQLite: a control file, and a file per tenant.

mod builder;
mod codec;
mod engine;
mod error;
mod fences;
mod files;
mod migration;
mod migrator;
mod store;

// What both engines share is compiled for each, with the engine's own types.
#[path = "../repositories/mod.rs"]
mod repositories;
#[path = "../unit/mod.rs"]
mod unit;

use self::store::SqliteStore as Engine;
pub use self::{
    builder::{SqliteStoreBuilder, Synchronous},
    store::SqliteStore,
    unit::Transaction as SqliteTransaction,
};

/// A transaction on the control plane: the registry, and the platform's users.
pub type SqliteControlTransaction = SqliteTransaction<multitenancy_core::ControlContext>;
