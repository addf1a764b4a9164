//! Creates the files of tenants and migrates them.

use async_trait::async_trait;
use multitenancy_core::{
    Error, Isolation, Plane, Result, Tenant, TenantId,
    store::fleet::{FleetTenant, FleetWorker, Outcome, Tenants},
};
use sqlx::ConnectOptions;

use super::migrate::{Applied, IfMissing};
use super::{
    SqliteStore,
    engine::Permit,
    error::{no_such_table, store_error},
    location::PoolKey,
    location::StorageLocation,
    schema,
    store::close_file,
    unit::Access,
};
use crate::pool::close;

/// Migrates one file after another.
pub(super) struct Worker {
    store: SqliteStore,
    version: i64,
}

impl Worker {
    pub fn new(store: SqliteStore, version: i64) -> Self {
        Self { store, version }
    }

    /// The fingerprint of a tenant's file, and its applied migrations.
    pub async fn look(&mut self, tenant: &FleetTenant) -> Result<(String, Vec<Applied>)> {
        let (plane, schema) = (Plane::Tenant(tenant.id), self.store.tenant_schema());
        let (mut connection, permit) = self.store.lease(plane, Access::Read, IfMissing::Fail).await?;
        let found = async {
            let marker = schema.marker(&mut connection, plane).await?;
            let marker = marker.ok_or_else(|| schema::missing(plane))?;
            let applied = schema.applied(&mut connection).await;
            match applied {
                // The application's history begins with its first migration.
                Err(error) if no_such_table(&error) => Ok((marker, Vec::new())),
                other => Ok((marker, other.map_err(store_error)?)),
            }
        };
        let found = found.await;
        close(connection).await;
        drop(permit);
        found
    }

    pub async fn close(self) {}
}

#[async_trait]
impl FleetWorker for Worker {
    async fn migrate(&mut self, tenants: &[FleetTenant]) -> Result<Outcome> {
        let Some(tenant) = tenants.first() else { return Ok(Outcome::Current) };
        self.store.migrate_tenant(tenant.id, self.version, IfMissing::Fail).await
    }

    async fn close(&mut self) {}
}

/// Marks a file as under migration: no unit is served from it.
struct MigrationGuard(SqliteStore, Plane);

impl Drop for MigrationGuard {
    fn drop(&mut self) {
        let mut moving = self.0.moving();
        if let Some(index) = moving.iter().position(|plane| *plane == self.1) {
            moving.swap_remove(index);
        }
    }
}

impl SqliteStore {
    pub(super) async fn migrate_control(&self) -> Result<()> {
        let version = self.schema(Plane::Control).migrations.newest();
        self.migrate_file(Plane::Control, version, IfMissing::Create).await.map(drop)
    }

    /// Each tenant has its own file.
    pub(super) async fn groups(
        &self,
        _all: &[FleetTenant],
        todo: Vec<FleetTenant>,
        _chosen: &Tenants,
        _version: i64,
    ) -> Result<Vec<Vec<FleetTenant>>> {
        Ok(todo.into_iter().map(|tenant| vec![tenant]).collect())
    }

    pub(super) async fn make_storage(&self, tenant: &Tenant) -> Result<()> {
        if !self.kept_apart_by().contains(&tenant.isolation) {
            return Err(Error::config(format!(
                "SQLite keeps tenants apart by a file each ({}), not by {}",
                Isolation::Database,
                tenant.isolation
            )));
        }
        let version = self.tenant_schema().migrations.newest();
        self.migrate_tenant(tenant.id, version, IfMissing::Create).await.map(drop)
    }

    async fn migrate_tenant(&self, tenant: TenantId, version: i64, if_missing: IfMissing) -> Result<Outcome> {
        let plane = Plane::Tenant(tenant);
        self.moving().push(plane);
        let moving = MigrationGuard(self.clone(), plane);
        // A reader's snapshot begins with its first statement: a reader that began earlier must not see the result.
        let key = PoolKey { plane, access: Access::Read };
        let readers = self.pool(plane).alone(key, self.width(key)).await?;
        let outcome = self.migrate_file(plane, version, if_missing).await?;
        self.no_longer_outdated(tenant);
        self.record(&[tenant], self.tenant_schema().migrations.fingerprint_at(version)?).await?;
        drop((moving, readers));
        Ok(outcome)
    }

    /// Migrates on its own connection, which is closed afterwards, while it holds the file's writer permit.
    async fn migrate_file(&self, plane: Plane, version: i64, if_missing: IfMissing) -> Result<Outcome> {
        let schema = self.schema(plane);
        let goal = schema.migrations.fingerprint_at(version)?;
        close_file(self.pool(plane), plane).await;
        let (mut connection, permit) = self.lease(plane, Access::Write, if_missing).await?;
        let migrated =
            schema.migrate(&mut connection, StorageLocation(plane), version, if_missing, goal).await;
        close(connection).await;
        drop(permit);
        migrated
    }

    /// A connection to a file at any schema. It is closed at the end and never returned to the pool.
    async fn lease(
        &self,
        plane: Plane,
        access: Access,
        if_missing: IfMissing,
    ) -> Result<(sqlx::SqliteConnection, Permit)> {
        let options = self.options(plane, access).create_if_missing(if_missing == IfMissing::Create);
        let open = || async {
            options.connect().await.map_err(|error| {
                if self.has_file(plane) {
                    store_error(error)
                } else {
                    schema::missing(plane).with_source(error)
                }
            })
        };
        let key = PoolKey { plane, access };
        let pool = self.pool(plane);
        pool.acquire((key, self.width(key)), key, pool.deadline(), open).await
    }
}
