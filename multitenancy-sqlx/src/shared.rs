//! The code that both engines share, compiled once for each (decision 16).
//!
//! An engine supplies six modules beside its store, `Engine` here:
//! - `engine`: begins, commits and rolls back transactions; names sqlx's types and the SQL keywords that differ.
//! - `codec`: how columns store instants.
//! - `error`: maps the engine's errors to error codes.
//! - `schema`: the migrations that storage needs, and the marker that records its schema.
//! - `storage`: creates and migrates storage, and supplies the worker of a fleet run.
//! - `location`: where a plane's rows are, and the key of the connections that lead there.
//!
//! And these methods of its store:
//! - `unit` opens a unit of work by its [`UnitSpec`](unit::UnitSpec).
//! - `raise_fence`, `lower_stale_fence` and `check_fence` are the fence around a tenant (decision 20); `repairs` lists
//!   the fences that are being lowered.
//! - `make_storage` and `remove_storage` create and remove a tenant's storage; `migrate`, `migrate_control`, `groups`
//!   and `budget` migrate it.
//! - `kept_apart_by` names the isolations, `stored_secret` stores secrets, `tenant_schema` is the schema of tenants.

use super::{Engine, codec, engine, error, location, schema, storage};

pub(super) mod migrate;
mod repositories;
mod store;
pub(super) mod unit;
