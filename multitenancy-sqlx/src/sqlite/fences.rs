//! The fences around tenants. One process has the directory, so nobody else needs to know of them, nor whoever has it next:
//! nobody has begun anything then.

use multitenancy_core::{Error, Isolation, Plane, Result, TenantId, tenant::tenant_inactive};
use tokio::{sync::RwLockWriteGuard, time::timeout};
use uuid::Uuid;

use super::{
    SqliteStore,
    engine::{Fences, Passing},
};

impl SqliteStore {
    pub(super) async fn raise_fence(&self, tenant: TenantId, _: Isolation, fence: Uuid) -> Result<()> {
        self.fences_alone().await?.insert(tenant, fence);
        Ok(())
    }

    pub(super) async fn fence(&self, tenant: TenantId, _: Isolation) -> Result<Option<Uuid>> {
        Ok(self.fences().read().await.get(&tenant).copied())
    }

    pub(super) async fn lower_fence(&self, tenant: TenantId, _: Isolation, fence: Uuid) -> Result<()> {
        self.fences_alone().await?.retain(|other, id| *other != tenant || *id != fence);
        Ok(())
    }

    pub(super) async fn pass_fence(&self, tenant: TenantId) -> Result<Passing> {
        let fences = self.fences().clone().read_owned().await;
        match fences.contains_key(&tenant) {
            true => Err(tenant_inactive(tenant)),
            false => Ok(fences),
        }
    }

    /// Waits for every COMMIT that is under way.
    async fn fences_alone(&self) -> Result<RwLockWriteGuard<'_, Fences>> {
        let wait = self.pool(Plane::Control).limits().wait;
        let alone = timeout(wait, self.fences().write()).await;
        alone.map_err(|_| Error::overloaded("what is being committed takes long", wait))
    }
}
