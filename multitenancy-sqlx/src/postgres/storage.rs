//! Creates the storage of tenants and migrates it.

use async_trait::async_trait;
use multitenancy_core::{
    Error, Isolation, Plane, Result, Tenant, TenantId,
    store::fleet::{FleetTenant, FleetWorker, Outcome, Tenants},
};
use sqlx::PgConnection;

use super::migrate::{Applied, IfMissing};
use super::{
    PgStore,
    admin::visit,
    engine::execute,
    error::{no_such_table, store_error},
    location::StorageLocation,
    schema::{self, Schema},
};
use crate::pool::close;

/// Migrates tenants one after another; tenants of one database share a connection.
pub(super) struct Worker {
    store: PgStore,
    version: i64,
    connection: Option<PgConnection>,
}

impl Worker {
    pub fn new(store: PgStore, version: i64) -> Self {
        Self { store, version, connection: None }
    }

    /// The fingerprint of a tenant's storage, and its applied migrations.
    pub async fn look(&mut self, tenant: &FleetTenant) -> Result<(String, Vec<Applied>)> {
        let location = StorageLocation::of_tenant(tenant.id, tenant.isolation);
        let mut connection = self.connect(location).await?;
        let (plane, schema) = (Plane::Tenant(tenant.id), self.store.tenant_schema());
        let found = async {
            visit(&mut connection, location).await?;
            // Reads the marker and the history in one snapshot: a migration may be running.
            let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            execute(&mut connection, snapshot).await.map_err(store_error)?;
            let marker = schema.marker(&mut connection, plane).await?;
            let marker = marker.ok_or_else(|| schema::missing(plane))?;
            let applied = match schema.applied(&mut connection).await {
                // The application's history begins with its first migration.
                Err(error) if no_such_table(&error) => Vec::new(),
                other => other.map_err(store_error)?,
            };
            execute(&mut connection, "ROLLBACK").await.map_err(store_error)?;
            Ok((marker, applied))
        };
        let found = found.await;
        match found {
            Ok(_) => self.rest(location, connection).await,
            Err(_) => close(connection).await,
        }
        found
    }

    pub async fn close(mut self) {
        FleetWorker::close(&mut self).await;
    }

    async fn connect(&mut self, location: StorageLocation) -> Result<PgConnection> {
        match self.connection.take() {
            Some(connection) if location.database().is_none() => Ok(connection),
            other => {
                self.connection = other;
                self.store.inner.admin.connect(location).await
            }
        }
    }

    /// Keeps the connection if it leads to the database of most tenants.
    async fn rest(&mut self, location: StorageLocation, connection: PgConnection) {
        match location.database() {
            None => self.connection = Some(connection),
            Some(_) => close(connection).await,
        }
    }
}

#[async_trait]
impl FleetWorker for Worker {
    async fn migrate(&mut self, tenants: &[FleetTenant]) -> Result<Outcome> {
        let Some(first) = tenants.first() else { return Ok(Outcome::Current) };
        let location = StorageLocation::of_tenant(first.id, first.isolation);
        let mut connection = self.connect(location).await?;
        let store = self.store.clone();
        let ids: Vec<_> = tenants.iter().map(|tenant| tenant.id).collect();
        let moved =
            store.migrate_storage(&mut connection, location, self.version, IfMissing::Fail, &ids).await;
        match moved {
            Ok(_) => self.rest(location, connection).await,
            Err(_) => close(connection).await,
        }
        moved
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            close(connection).await;
        }
    }
}

impl PgStore {
    /// Creates or migrates the storage that all tenants need: the control plane, and on a new server the shared
    /// tables.
    pub(super) async fn make(&self) -> Result<()> {
        self.migrate_control().await?;
        self.migrate_shared().await
    }

    pub(super) async fn migrate_control(&self) -> Result<()> {
        self.migrate_common(StorageLocation::Control, self.control_schema()).await
    }

    async fn migrate_shared(&self) -> Result<()> {
        self.migrate_common(StorageLocation::Shared, self.tenant_schema()).await
    }

    async fn migrate_common(&self, location: StorageLocation, schema: &Schema) -> Result<()> {
        let mut connection = self.inner.admin.connect(location).await?;
        let version = schema.migrations.newest();
        self.inner.admin.migrate(&mut connection, location, schema, version, IfMissing::Create).await?;
        close(connection).await;
        Ok(())
    }

    /// The maximum number of concurrent migrations: the same as that of units of work.
    pub(super) fn budget(&self) -> usize {
        self.inner.pool.limits().open
    }

    /// Tenants that share tables are one group.
    pub(super) async fn groups(
        &self,
        all: &[FleetTenant],
        todo: Vec<FleetTenant>,
        chosen: &Tenants,
        version: i64,
    ) -> Result<Vec<Vec<FleetTenant>>> {
        let shares = |tenant: &FleetTenant| tenant.isolation == Isolation::Shared;
        let (shared, own): (Vec<_>, Vec<_>) = todo.into_iter().partition(shares);
        if let (Tenants::Only(chosen), Some(one)) = (chosen, shared.first())
            && let Some(other) = all.iter().find(|tenant| shares(tenant) && !chosen.contains(&tenant.id))
        {
            return Err(Error::config(format!(
                "{} and {} share their tables: choose all that share them, or none",
                one.slug, other.slug
            )));
        }
        // The tables are empty, and no tenant can be added to them.
        if !all.iter().any(shares) && version == self.tenant_schema().migrations.newest() {
            self.migrate_shared().await?;
        }
        let groups = std::iter::once(shared).chain(own.into_iter().map(|tenant| vec![tenant]));
        Ok(groups.filter(|group| !group.is_empty()).collect())
    }

    pub(super) async fn make_storage(&self, tenant: &Tenant) -> Result<()> {
        let (id, location) = (tenant.id, StorageLocation::of_tenant(tenant.id, tenant.isolation));
        if let Some(database) = location.database() {
            self.inner.admin.make_database(&database).await?;
        }
        let mut connection = self.inner.admin.connect(location).await?;
        let schema = self.tenant_schema();
        if tenant.isolation == Isolation::Shared {
            self.inner.admin.admit(&mut connection, location, schema, id).await?;
            self.record(&[id], schema.migrations.fingerprint()).await?;
        } else {
            let version = schema.migrations.newest();
            self.migrate_storage(&mut connection, location, version, IfMissing::Create, &[id]).await?;
        }
        close(connection).await;
        // The tenant may have been closed while its storage was missing.
        if tenant.status.is_closed() {
            self.raise_fence(tenant).await?;
        }
        Ok(())
    }

    /// Migrates the storage at `location` to a version, and records the version for its tenants while it holds the
    /// lock.
    async fn migrate_storage(
        &self,
        connection: &mut PgConnection,
        location: StorageLocation,
        version: i64,
        if_missing: IfMissing,
        tenants: &[TenantId],
    ) -> Result<Outcome> {
        let schema = self.tenant_schema();
        let moving = self.inner.schema_cache.moving(location.tenant().map(Plane::Tenant));
        let outcome = self.inner.admin.migrate(connection, location, schema, version, if_missing).await?;
        drop(moving);
        self.close_prepared(location).await;
        self.record(tenants, schema.migrations.fingerprint_at(version)?).await?;
        Ok(outcome)
    }

    /// Statements that connections prepared for the old tables may not fit the new ones.
    async fn close_prepared(&self, location: StorageLocation) {
        let pool = &self.inner.pool;
        match location {
            StorageLocation::Database(tenant) => {
                let plane = Plane::Tenant(tenant);
                pool.close_all(|lane| lane == plane, |key| key == location.key()).await;
            }
            StorageLocation::Shared => {
                pool.close_all(|lane| lane != Plane::Control, |key| key == location.key()).await;
            }
            StorageLocation::Schema(_) | StorageLocation::Control => {}
        }
    }
}
