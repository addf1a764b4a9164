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

use self::store::PgStore as Engine;
pub use self::{
    audit::{AuditOptions, Fault, audit},
    builder::PgStoreBuilder,
    store::PgStore,
    transaction::Transaction as PgTransaction,
};

/// A transaction on the control plane: the registry, and the platform's users.
pub type PgControlTransaction = PgTransaction<multitenancy_core::ControlContext>;
