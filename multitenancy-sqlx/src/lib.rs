#![doc = include_str!("../README.md")]

#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
pub use self::sqlite::{
    SqliteControlTransaction, SqliteStore, SqliteStoreBuilder, SqliteTransaction, Synchronous,
};
