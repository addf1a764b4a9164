//! SQLite: a control file, and a file per tenant.

mod builder;
mod codec;
mod connections;
mod consumed;
mod error;
mod files;
mod lease;
mod membership;
mod migration;
mod outbox;
mod session;
mod store;
mod tenant;
mod transaction;
mod unit;
mod user;

pub use self::{
    builder::{SqliteStoreBuilder, Synchronous},
    store::SqliteStore,
    transaction::{SqliteControlTransaction, SqliteTransaction},
};
