//! PostgreSQL: shared tables under row-level security, a schema or a database per tenant, mixed as tenants need.

mod admin;
mod audit;
mod builder;
mod checked;
mod checkout;
mod codec;
mod engine;
mod error;
mod fences;
mod listen;
mod login;
mod migration;
mod migrator;
mod place;
mod question;
mod refusal;
mod store;

// What both engines share is compiled for each, with the engine's own types.
#[path = "../repositories/mod.rs"]
mod repositories;
#[path = "../unit/mod.rs"]
mod unit;

use self::store::PgStore as Engine;
pub use self::{
    audit::{AuditOptions, Fault, audit},
    builder::PgStoreBuilder,
    store::PgStore,
    unit::Transaction as PgTransaction,
};

/// A transaction on the control plane: the registry, and the platform's users.
pub type PgControlTransaction = PgTransaction<multitenancy_core::ControlContext>;
