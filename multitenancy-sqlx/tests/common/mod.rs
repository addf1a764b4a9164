//! Shared by the tests of this crate.

mod migrator;

use std::path::Path;

use multitenancy_sqlx::{SqliteStore, SqliteStoreBuilder};

pub use migrator::migrations;

/// The URL of a store in `directory`.
pub fn url(directory: impl AsRef<Path>) -> String {
    format!("sqlite:{}", directory.as_ref().display())
}

/// A store whose tenants have a table of notes.
pub async fn open(builder: SqliteStoreBuilder) -> SqliteStore {
    open_with(builder, &["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"]).await
}

/// A store whose tenants have the tables of an application with these migrations.
pub async fn open_with(builder: SqliteStoreBuilder, statements: &[&'static str]) -> SqliteStore {
    builder.tenant_migrations(migrations(statements)).connect().await.unwrap()
}
