//! What both engines share, compiled once for each (decision 16).
//!
//! An engine supplies six modules beside its store, `Engine` here:
//! - `engine`: how a transaction begins, commits and rolls back, the types of sqlx, and the SQL keywords that differ.
//! - `codec`: how columns hold instants.
//! - `error`: maps the engine's errors to error codes.
//! - `schema`: which migrations storage needs, and the marker that records its schema.
//! - `storage`: how storage is created and migrated, and the worker of a fleet run.
//! - `location`: where a plane's rows are, and which connections lead there.
//!
//! And these methods of its store:
//! - `unit` opens a unit of work by its [`UnitSpec`](unit::UnitSpec).
//! - `raise_fence`, `lower_stale_fence` and `check_fence` are the fence around a tenant (decision 20); `repairs` are the fences
//!   that are being lowered.
//! - `make_storage` and `remove_storage` keep a tenant's storage; `migrate`, `migrate_control`, `groups` and `budget` migrate it.
//! - `kept_apart_by` names the isolations, `stored_secret` keeps secrets, `tenant_schema` is the schema of tenants.

use super::{Engine, codec, engine, error, location, schema, storage};

pub(super) mod migrate;
mod repositories;
mod store;
pub(super) mod unit;
