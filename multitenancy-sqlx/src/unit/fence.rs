//! The fence around a tenant that is suspended or canceled: nothing that is written inside it is committed (S117).
//!
//! It stands where the tenant's rows are, so that a COMMIT passes it without asking the registry. It is raised before the
//! registry calls the tenant closed and lowered after the registry calls it active, so that a process that ends in
//! between leaves one too many and never one too few. The first who is stopped by that one has it lowered.

use std::time::Duration;

use multitenancy_core::{
    ControlContext, ControlTransaction, Error, Isolation, Plane, Result, Store, Tenant, TenantId,
    tenant::{TENANT_INACTIVE, TenantStatus},
};

use super::{Engine, engine::for_update, error::store_error, unit::Unit};

/// A tenant's move from one status to another.
pub(super) struct Move {
    pub tenant: TenantId,
    pub isolation: Isolation,
    pub from: TenantStatus,
    pub to: TenantStatus,
}

impl Unit {
    /// Commits, unless the unit's tenant is closed by then.
    pub async fn commit(mut self) -> Result<()> {
        let (store, plane, moves) = (self.store.clone(), self.plane, std::mem::take(&mut self.moves));
        let committed = self.commit_after_raising(&moves).await;
        for moved in moves.iter().filter(|moved| committed.is_err() || moved.from.is_closed()) {
            if let Err(error) = store.mend_fence(moved.tenant).await {
                tracing::warn!(tenant = %moved.tenant, error = ?error, "a fence is left standing for now");
            }
        }
        match (committed, plane) {
            (Err(error), Plane::Tenant(tenant)) if error.code() == TENANT_INACTIVE => {
                // Whoever began it did not know.
                store.signals().tenant_changed(tenant);
                match store.mend_fence(tenant).await? {
                    true => Err(Error::overloaded("the organization is being activated", AGAIN)),
                    false => Err(error),
                }
            }
            (committed, _) => committed,
        }
    }

    async fn commit_after_raising(self, moves: &[Move]) -> Result<()> {
        for moved in moves.iter().filter(|moved| moved.to.is_closed()) {
            let fence = self.store.environment().uuid();
            self.store.raise_fence(moved.tenant, moved.isolation, fence).await?;
        }
        let passing = match self.plane {
            Plane::Tenant(tenant) if self.fenced => Some(self.store.pass_fence(tenant).await?),
            _ => None,
        };
        self.lease.commit(passing).await
    }
}

/// When who was stopped by the fence of an active tenant tries again.
const AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    /// Lowers the fence around a tenant that the registry calls active. Whether it does.
    async fn mend_fence(&self, tenant: TenantId) -> Result<bool> {
        let context = ControlContext::system("fences");
        let found = self.read_control(&context).await?.tenants().find(&tenant.into()).await?;
        let Some(Tenant { status: TenantStatus::Active, isolation, .. }) = found else { return Ok(false) };
        let Some(fence) = self.fence(tenant, isolation).await? else { return Ok(true) };
        // Whoever raised it had the tenant's row before, and has it until they are done. So once the row is ours, and says
        // active, nobody needs that fence, and it may be lowered at any time: another one has another id.
        let status: Option<String> = sqlx::query_scalar(concat!(
            "SELECT status FROM multitenancy_tenants WHERE id = $1",
            for_update!()
        ))
        .bind(tenant.as_uuid())
        .fetch_optional(self.control(&context).await?.conn())
        .await
        .map_err(store_error)?;
        let active = status.is_some_and(|status| status == TenantStatus::Active.as_str());
        if active {
            self.lower_fence(tenant, isolation, fence).await?;
        }
        Ok(active)
    }
}
