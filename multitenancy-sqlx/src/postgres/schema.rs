//! The schemas of PostgreSQL storage, and the marker that records which schema the storage is at.

use multitenancy_core::{Error, Plane, Result, error::code};
use sqlx::{AssertSqlSafe, PgConnection, migrate::Migrator};
use uuid::Uuid;

pub(super) use super::location::StorageLocation;
use super::migrate::Migrations;
use super::{
    engine::execute,
    error::{no_such_table, store_error},
};

/// The migrations and grants of a schema.
pub(super) struct Schema {
    pub migrations: Migrations,
    /// Tables that belong to no tenant.
    reference_tables: Vec<String>,
}

impl Schema {
    pub fn control(application: Option<Migrator>, reference_tables: Vec<String>) -> Self {
        let registry =
            framework(sqlx::migrate!("migrations/postgres/control"), "multitenancy_control_migrations");
        Self { migrations: Migrations::new([plane(), registry], application), reference_tables }
    }

    pub fn tenant(application: Option<Migrator>, reference_tables: Vec<String>) -> Self {
        Self { migrations: Migrations::new([plane()], application), reference_tables }
    }

    /// Refuses the storage of one plane when its marker names another plane: a database restored under the wrong
    /// name.
    pub async fn refuse_others(&self, connection: &mut PgConnection, plane: Plane) -> Result<()> {
        let other =
            sqlx::query_scalar("SELECT tenant_id FROM multitenancy_marker WHERE tenant_id <> $1 LIMIT 1")
                .bind(plane.scope())
                .fetch_optional(connection)
                .await;
        let other: Option<Uuid> = match other {
            Err(error) if no_such_table(&error) => None,
            other => other.map_err(store_error)?,
        };
        match other {
            None => Ok(()),
            Some(other) => Err(Error::config(format!("the storage of {plane} is that of {other}"))),
        }
    }

    /// The fingerprint of the storage of `plane` on this connection; `None` when there is no storage.
    pub async fn marker(&self, connection: &mut PgConnection, plane: Plane) -> Result<Option<String>> {
        let marker = sqlx::query_scalar("SELECT fingerprint FROM multitenancy_marker WHERE tenant_id = $1")
            .bind(plane.scope())
            .fetch_optional(connection)
            .await;
        match marker {
            // The schema was never created, or never completed.
            Err(error) if no_such_table(&error) => Ok(None),
            other => other.map_err(store_error),
        }
    }

    /// Marks all storage at `location`, on this connection, with a fingerprint.
    pub async fn mark(
        &self,
        connection: &mut PgConnection,
        location: StorageLocation,
        fingerprint: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "WITH own AS (INSERT INTO multitenancy_marker (tenant_id, fingerprint) VALUES ($1, $2) \
             ON CONFLICT DO NOTHING) UPDATE multitenancy_marker SET fingerprint = $2 WHERE fingerprint <> $2",
        )
        .bind(location.plane().scope())
        .bind(fingerprint)
        .execute(connection)
        .await
        .map(drop)
    }

    /// Returns the connection to `location` after a migration's own statements may have left it.
    pub async fn stay(&self, connection: &mut PgConnection, location: StorageLocation) -> sqlx::Result<()> {
        let back =
            format!("RESET SESSION AUTHORIZATION; RESET ROLE; SET search_path TO {}", location.schema());
        execute(connection, AssertSqlSafe(back)).await
    }

    /// Grants the role of units of work access to the schema at `location` and to its reference tables. Tenants'
    /// tables are granted when they are protected: `GRANT … ON ALL TABLES` searches the tables of all schemas, which
    /// each of a thousand tenants would pay for.
    pub async fn grant(&self, connection: &mut PgConnection, location: StorageLocation) -> sqlx::Result<()> {
        sqlx::query("SELECT multitenancy.grant_app($1::name, $2)")
            .bind(location.schema())
            .bind(&self.reference_tables)
            .execute(connection)
            .await
            .map(drop)
    }

    /// Refuses a plane without storage, and storage at another schema.
    pub async fn check(&self, connection: &mut PgConnection, plane: Plane) -> Result<()> {
        match self.marker(connection, plane).await? {
            None => Err(missing(plane)),
            Some(fingerprint) if fingerprint == self.migrations.fingerprint() => Ok(()),
            Some(_) => Err(upgrading(plane)),
        }
    }
}

/// Creates the schema `multitenancy`, once per database.
pub(super) async fn prepare_database(connection: &mut PgConnection) -> Result<()> {
    execute(connection, "CREATE SCHEMA IF NOT EXISTS multitenancy").await.map_err(store_error)?;
    let migrator =
        framework(sqlx::migrate!("migrations/postgres/database"), "multitenancy.database_migrations");
    migrator.run_direct(None, connection, false).await.map_err(|error| {
        Error::config(format!("a migration of the schema multitenancy failed: {error}")).with_source(error)
    })
}

/// 503 `tenant_storage_missing`: the plane's storage does not exist, or was never completed.
pub(super) fn missing(plane: Plane) -> Error {
    Error::of(code::TENANT_STORAGE_MISSING).with_context("plane", plane)
}

/// 503 `tenant_upgrading`: the plane's storage is not yet at this program's schema.
pub(super) fn upgrading(plane: Plane) -> Error {
    Error::of(code::TENANT_UPGRADING)
        .with_context("plane", plane)
        .with_context("help", "the storage is not at this program's schema: migrate the store")
}

fn plane() -> Migrator {
    framework(sqlx::migrate!("migrations/postgres/plane"), "multitenancy_plane_migrations")
}

/// Disables sqlx's lock, which covers the whole database: the migration already holds the lock of its schema.
fn framework(mut migrator: Migrator, table: &'static str) -> Migrator {
    migrator.dangerous_set_table_name(table);
    migrator.set_locking(false);
    migrator
}
