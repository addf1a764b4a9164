//! Bringing files to the newest schema: the framework's migrations and the application's, each with a history of
//! its own.

use multitenancy_core::{Error, Plane, Result, TenantId, Timestamp};
use sha2::{Digest, Sha256};
use sqlx::{SqliteConnection, migrate::Migrator};

use super::{codec::micros, error::store_error};

/// What the files of one kind need.
pub(super) struct Schema {
    framework: Vec<Migrator>,
    application: Option<Migrator>,
}

impl Schema {
    pub fn control(application: Option<Migrator>) -> Self {
        let plane = framework(sqlx::migrate!("migrations/sqlite/plane"), "multitenancy_plane_migrations");
        let registry =
            framework(sqlx::migrate!("migrations/sqlite/control"), "multitenancy_control_migrations");
        Self { framework: vec![plane, registry], application }
    }

    pub fn tenant(application: Option<Migrator>) -> Self {
        let plane = framework(sqlx::migrate!("migrations/sqlite/plane"), "multitenancy_plane_migrations");
        Self { framework: vec![plane], application }
    }

    /// Names this schema: a file that was brought to it is current.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for migrator in self.migrators() {
            hasher.update(migrator.table_name.as_bytes());
            for migration in migrator.iter() {
                hasher.update(migration.version.to_le_bytes());
                hasher.update(&migration.checksum);
            }
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Brings a file to this schema and marks it as the plane's own. Doing it again changes nothing.
    pub async fn apply(&self, connection: &mut SqliteConnection, plane: Plane) -> Result<()> {
        for migrator in self.migrators() {
            migrator.run_direct(None, connection, false).await.map_err(|error| {
                Error::config(format!("a migration of {plane} failed: {error}")).with_source(error)
            })?;
        }
        sqlx::query("INSERT INTO multitenancy_marker (one, tenant_id) VALUES (1, $1) ON CONFLICT DO NOTHING")
            .bind(plane.scope())
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    fn migrators(&self) -> impl Iterator<Item = &Migrator> {
        self.framework.iter().chain(&self.application)
    }
}

fn framework(mut migrator: Migrator, table: &'static str) -> Migrator {
    migrator.dangerous_set_table_name(table);
    migrator
}

/// The tenants that are not recorded as brought to `fingerprint`, but for those being made and those canceled.
pub(super) async fn outdated(connection: &mut SqliteConnection, fingerprint: &str) -> Result<Vec<TenantId>> {
    let ids = sqlx::query_scalar(
        "SELECT id FROM multitenancy_tenants WHERE status IN ('active', 'suspended') AND id NOT IN \
         (SELECT tenant_id FROM multitenancy_tenant_schemas WHERE fingerprint = $1) ORDER BY id",
    )
    .bind(fingerprint)
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    Ok(ids.into_iter().map(TenantId::from_uuid).collect())
}

/// Records that a tenant's file was brought to `fingerprint`.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    tenant: TenantId,
    fingerprint: &str,
    at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO multitenancy_tenant_schemas (tenant_id, fingerprint, migrated_at) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant_id) DO UPDATE SET fingerprint = $2, migrated_at = $3",
    )
    .bind(tenant.as_uuid())
    .bind(fingerprint)
    .bind(micros(at))
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}
