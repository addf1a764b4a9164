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

// What both engines share is compiled for each, with the engine's own `engine`, `codec` and `error`.
#[path = "../unit/consumed.rs"]
mod consumed;
#[path = "../unit/fence.rs"]
mod fence;
#[path = "../unit/fleet.rs"]
mod fleet;
#[path = "../unit/lease.rs"]
mod lease;
#[path = "../unit/membership.rs"]
mod membership;
#[path = "../unit/outbox.rs"]
mod outbox;
#[path = "../unit/session.rs"]
mod session;
#[path = "../unit/steps.rs"]
mod steps;
#[path = "../unit/tenant.rs"]
mod tenant;
#[path = "../unit/transaction.rs"]
mod transaction;
#[path = "../unit/unit.rs"]
mod unit;
#[path = "../unit/user.rs"]
mod user;

use self::store::SqliteStore as Engine;
pub use self::{
    builder::{SqliteStoreBuilder, Synchronous},
    store::SqliteStore,
    transaction::Transaction as SqliteTransaction,
};

/// A transaction on the control plane: the registry, and the platform's users.
pub type SqliteControlTransaction = SqliteTransaction<multitenancy_core::ControlContext>;
