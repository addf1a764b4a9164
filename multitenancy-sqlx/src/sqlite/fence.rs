//! The fences around tenants, in memory: only one process uses the directory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use multitenancy_core::{
    Error, Plane, Result, Tenant, TenantId,
    actor::Origin,
    tenant::{TenantStatus, tenant_inactive},
};
use sqlx::ConnectOptions;
use tokio::{
    sync::{OwnedRwLockWriteGuard, RwLock},
    time::timeout,
};
use uuid::Uuid;

use super::{
    SqliteStore,
    engine::CommitGuard,
    error::{no_such_table, store_error},
    location::StorageLocation,
    unit::{Access, UnitSpec},
};
use crate::pool::close;

/// By tenant, whether there is a fence. A commit holds the lock shared.
#[derive(Default)]
pub(super) struct Fences(Mutex<HashMap<TenantId, Arc<RwLock<bool>>>>);

impl Fences {
    fn of(&self, tenant: TenantId) -> Arc<RwLock<bool>> {
        let mut fences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the map grows, entries without a fence are removed.
        if fences.len() == fences.capacity() {
            fences.retain(|_, fence| {
                Arc::strong_count(fence) > 1 || fence.try_read().is_ok_and(|raised| *raised)
            });
        }
        fences.entry(tenant).or_default().clone()
    }
}

impl SqliteStore {
    /// Raises the fences around the tenants that the registry lists as closed: an earlier store in this process may
    /// have left contexts.
    pub(super) async fn raise_fences(&self) -> Result<()> {
        let mut registry = self.options(Plane::Control, Access::Read).connect().await.map_err(store_error)?;
        let query = "SELECT id FROM multitenancy_tenants WHERE status IN ('suspended', 'canceled')";
        let closed: sqlx::Result<Vec<Uuid>> = sqlx::query_scalar(query).fetch_all(&mut registry).await;
        close(registry).await;
        let closed = match closed {
            // The first use of the registry reports its error.
            Err(error) if no_such_table(&error) => Vec::new(),
            other => other.map_err(store_error)?,
        };
        for tenant in closed {
            *self.alone(TenantId::from_uuid(tenant)).await? = true;
        }
        Ok(())
    }

    pub(super) async fn raise_fence(&self, tenant: &Tenant) -> Result<()> {
        *self.alone(tenant.id).await? = true;
        Ok(())
    }

    /// Lowers the fence around a tenant that the registry lists as active.
    pub(super) async fn lower_stale_fence(&self, tenant: &Tenant) -> Result<()> {
        // A status change holds the registry's only writer permit until it ends: this call waits for it, and no fence
        // is raised while this call holds the permit.
        let registry =
            UnitSpec { plane: Plane::Control, location: StorageLocation::control(), access: Access::Write };
        let mut registry = self.unit(registry, &Origin::system("fences")).await?;
        let status: Option<String> =
            sqlx::query_scalar("SELECT status FROM multitenancy_tenants WHERE id = $1")
                .bind(tenant.id.as_uuid())
                .fetch_optional(registry.connection()?)
                .await
                .map_err(store_error)?;
        if status.is_some_and(|status| status == TenantStatus::Active.as_str()) {
            *self.alone(tenant.id).await? = false;
        }
        registry.lease.commit(None).await
    }

    pub(super) async fn check_fence(&self, tenant: TenantId) -> Result<CommitGuard> {
        let guard = timeout(self.wait(), self.fences().of(tenant).read_owned()).await;
        match guard.map_err(|_| busy())? {
            raised if *raised => Err(tenant_inactive(tenant)),
            guard => Ok(guard),
        }
    }

    /// Waits for running commits in the tenant.
    async fn alone(&self, tenant: TenantId) -> Result<OwnedRwLockWriteGuard<bool>> {
        timeout(self.wait(), self.fences().of(tenant).write_owned()).await.map_err(|_| busy())
    }

    fn wait(&self) -> Duration {
        self.pool(Plane::Control).limits().wait
    }
}

fn busy() -> Error {
    Error::overloaded("what is being committed takes long", Duration::from_secs(1))
}
