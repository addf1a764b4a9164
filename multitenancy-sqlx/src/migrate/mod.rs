//! Migrations: planned, applied to one plane's storage, and run over a fleet of tenants.

use super::{Engine, codec, engine, error, location, schema, storage};

mod apply;
mod fleet;
mod plan;

pub(crate) use self::plan::{Applied, IfMissing, Migrations, Step, UNDERWAY};
