#![doc = include_str!("../README.md")]
#![cfg_attr(
    all(feature = "postgres", feature = "sqlite"),
    expect(clippy::duplicate_mod, reason = "both engines compile `shared`: decision 16")
)]

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub use self::postgres::{
    AuditOptions, Fault, PgControlTransaction, PgStore, PgStoreBuilder, PgTransaction, audit,
};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{
    SqliteControlTransaction, SqliteStore, SqliteStoreBuilder, SqliteTransaction, Synchronous,
};
