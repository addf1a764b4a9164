//! PostgreSQL: shared tables under row-level security, a schema per tenant or a database per tenant, in any mix.

mod admin;
mod audit;
mod builder;
mod checkout;
mod codec;
mod engine;
mod error;
mod fence;
mod hint;
mod listen;
mod location;
mod login;
mod schema;
mod schema_cache;
mod storage;
mod store;
mod tagged_query;
mod wire;

#[path = "../shared.rs"]
mod shared;

use self::shared::{migrate, unit};
use self::store::PgStore as Engine;
pub use self::{
    audit::{AuditOptions, Fault, audit},
    builder::PgStoreBuilder,
    store::PgStore,
    unit::Transaction as PgTransaction,
};

/// A transaction on the control plane: the registry, and the platform's users.
pub type PgControlTransaction = PgTransaction<multitenancy_core::ControlContext>;
