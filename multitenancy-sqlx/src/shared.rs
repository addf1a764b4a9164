//! What both engines share, compiled once for each (decision 16).
//!
//! An engine supplies six modules beside its store, `Engine` here:
//! - `engine`: how a transaction begins, commits and rolls back, the types of sqlx, and the words that differ in SQL.
//! - `codec`: how columns hold instants.
//! - `error`: what the engine's errors mean.
//! - `schema`: which migrations storage needs, and the mark that says at which schema it is.
//! - `storage`: how storage is made and migrated, and the worker of a fleet's run.
//! - `location`: where a plane's rows are, and which connections lead there.
//!
//! And its store: `unit` opens a unit of work, and `raise_fence`, `lower_stale_fence` and `check_fence` are the fence.

use super::{Engine, codec, engine, error, location, schema, storage};

pub(super) mod migrate;
mod repositories;
pub(super) mod unit;
