//! The schemas of files, and the marker that records a file's plane and schema.

use multitenancy_core::{Error, Plane, Result, error::code};
use sqlx::{SqliteConnection, migrate::Migrator};
use uuid::Uuid;

use super::migrate::Migrations;
use super::{
    error::{no_such_table, store_error},
    location::StorageLocation,
};

/// The migrations of one kind of file.
pub(super) struct Schema {
    pub migrations: Migrations,
}

impl Schema {
    pub fn control(application: Option<Migrator>) -> Self {
        let registry =
            framework(sqlx::migrate!("migrations/sqlite/control"), "multitenancy_control_migrations");
        Self { migrations: Migrations::new([plane(), registry], application) }
    }

    pub fn tenant(application: Option<Migrator>) -> Self {
        Self { migrations: Migrations::new([plane()], application) }
    }

    /// The fingerprint of the file; `None` when it was never completed. Refuses the file of another plane: one that
    /// was swapped, or copied over this one.
    pub async fn marker(&self, connection: &mut SqliteConnection, plane: Plane) -> Result<Option<String>> {
        let marker: sqlx::Result<Option<(Uuid, String)>> =
            sqlx::query_as("SELECT tenant_id, fingerprint FROM multitenancy_marker")
                .fetch_optional(connection)
                .await;
        match marker {
            Err(error) if no_such_table(&error) => Ok(None),
            Err(error) => Err(store_error(error)),
            Ok(Some((owner, fingerprint))) if owner == plane.scope() => Ok(Some(fingerprint)),
            Ok(_) => Err(foreign(plane)),
        }
    }

    /// Marks the file with its plane and a fingerprint.
    pub async fn mark(
        &self,
        connection: &mut SqliteConnection,
        location: StorageLocation,
        fingerprint: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO multitenancy_marker (one, tenant_id, fingerprint) VALUES (1, $1, $2) \
             ON CONFLICT DO UPDATE SET fingerprint = $2",
        )
        .bind(location.plane().scope())
        .bind(fingerprint)
        .execute(connection)
        .await
        .map(drop)
    }

    /// A connection to a file cannot move elsewhere.
    pub async fn stay(&self, _: &mut SqliteConnection, _: StorageLocation) -> sqlx::Result<()> {
        Ok(())
    }

    /// A connection to the file can use its tables.
    pub async fn grant(&self, _: &mut SqliteConnection, _: StorageLocation) -> sqlx::Result<()> {
        Ok(())
    }

    /// Refuses a file that was never completed, the file of another plane, and a file at another schema.
    pub async fn check(&self, connection: &mut SqliteConnection, plane: Plane) -> Result<()> {
        match self.marker(connection, plane).await? {
            None => Err(missing(plane)),
            Some(fingerprint) if fingerprint == self.migrations.fingerprint() => Ok(()),
            Some(_) => Err(upgrading(plane)),
        }
    }
}

fn plane() -> Migrator {
    framework(sqlx::migrate!("migrations/sqlite/plane"), "multitenancy_plane_migrations")
}

fn foreign(plane: Plane) -> Error {
    Error::internal("the file belongs to another plane").with_context("plane", plane)
}

/// 503 `tenant_storage_missing`: the plane's file does not exist, or was never completed.
pub(super) fn missing(plane: Plane) -> Error {
    Error::of(code::TENANT_STORAGE_MISSING).with_context("plane", plane)
}

/// 503 `tenant_upgrading`: the plane's file is not yet at this program's schema.
pub(super) fn upgrading(plane: Plane) -> Error {
    Error::of(code::TENANT_UPGRADING)
        .with_context("plane", plane)
        .with_context("help", "the file is not at this program's schema: migrate the store")
}

fn framework(mut migrator: Migrator, table: &'static str) -> Migrator {
    migrator.dangerous_set_table_name(table);
    migrator
}
