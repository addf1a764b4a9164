//! What files need, and the mark that says whose a file is and at which schema.

use multitenancy_core::{Error, Plane, Result, error::code};
use sqlx::{SqliteConnection, migrate::Migrator};
use uuid::Uuid;

use super::migrate::Migrations;
use super::{
    error::{no_such_table, store_error},
    location::StorageLocation,
};

/// What the files of one kind need.
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

    /// At which schema the file is; `None` when it was never finished. Refuses one that is another plane's, swapped or
    /// copied over this one's.
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

    /// Marks the file as this plane's, and as being at a schema.
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

    /// A connection to a file leads nowhere else.
    pub async fn stay(&self, _: &mut SqliteConnection, _: StorageLocation) -> sqlx::Result<()> {
        Ok(())
    }

    /// Who has the file has its tables.
    pub async fn grant(&self, _: &mut SqliteConnection, _: StorageLocation) -> sqlx::Result<()> {
        Ok(())
    }

    /// Refuses a file that was never finished, one that is another plane's, and one of another schema.
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

/// 503 `tenant_storage_missing`: the plane's file is not there, or was never finished.
pub(super) fn missing(plane: Plane) -> Error {
    Error::of(code::TENANT_STORAGE_MISSING).with_context("plane", plane)
}

/// 503 `tenant_upgrading`: the plane's file has yet to be brought to the schema of this program.
pub(super) fn upgrading(plane: Plane) -> Error {
    Error::of(code::TENANT_UPGRADING)
        .with_context("plane", plane)
        .with_context("help", "the file is at another schema than this program: migrate the store")
}

fn framework(mut migrator: Migrator, table: &'static str) -> Migrator {
    migrator.dangerous_set_table_name(table);
    migrator
}
