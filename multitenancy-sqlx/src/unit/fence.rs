//! The fence around a tenant that is suspended or canceled: nothing that is written inside it is committed (S117).
//!
//! It stands where the tenant's rows are, so that a COMMIT passes it without asking the registry. It is raised before the
//! registry calls the tenant closed and lowered after the registry calls it active, so that a process that ends in
//! between leaves one too many and never one too few. The first who is stopped by that one has it lowered.

use std::time::Duration;

use multitenancy_core::{
    ControlContext, Error, Isolation, Plane, Result, Store, TenantId,
    tenant::{TenantStatus, tenant_inactive},
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
            (Err(error), Plane::Tenant(tenant)) if error.code() == tenant_inactive(tenant).code() => {
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
            self.store.raise_fence(moved.tenant, moved.isolation).await?;
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
        let mut registry = self.control(&ControlContext::system("fences")).await?;
        // Locked, for whoever closes the tenant has its row before they raise the fence.
        let found: Option<(String, String)> = sqlx::query_as(concat!(
            "SELECT status, isolation FROM multitenancy_tenants WHERE id = $1",
            for_update!()
        ))
        .bind(tenant.as_uuid())
        .fetch_optional(registry.conn())
        .await
        .map_err(store_error)?;
        let Some((status, isolation)) = found else { return Ok(false) };
        let active = status.parse::<TenantStatus>()? == TenantStatus::Active;
        if active {
            self.lower_fence(tenant, isolation.parse()?).await?;
        }
        Ok(active)
    }
}
