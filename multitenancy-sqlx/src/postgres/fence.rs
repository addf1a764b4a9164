//! The fences around tenants. Each is in the database of its tenant's rows. Units of work cannot write fences; only
//! the admin role can.

use std::time::Duration;

use multitenancy_core::{Result, Tenant, TenantId, error::code, tenant::TenantStatus};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{PgStore, engine::CommitGuard, error::store_error, location::StorageLocation};
use crate::pool::close;

impl PgStore {
    /// Waits for running COMMITs, longer than a COMMIT may take; the tenant's later COMMITs queue behind this call.
    pub(super) async fn raise_fence(&self, tenant: &Tenant) -> Result<()> {
        let mut connection = match self.connect_patiently(StorageLocation::of(tenant)).await {
            // No storage, so no writes to stop.
            Err(error) if error.is(code::TENANT_STORAGE_MISSING) => return Ok(()),
            other => other?,
        };
        let raising = sqlx::query("SELECT multitenancy.raise_fence($1, $2)");
        let raising = raising.bind(tenant.id.as_uuid()).bind(self.inner.environment.uuid());
        raising.execute(&mut connection).await.map_err(store_error)?;
        close(connection).await;
        Ok(())
    }

    /// Lowers the fence around a tenant that the registry lists as active.
    pub(super) async fn lower_stale_fence(&self, tenant: &Tenant) -> Result<()> {
        let location = StorageLocation::of(tenant);
        let mut connection = self.connect_patiently(location).await?;
        let fence: Option<Uuid> =
            sqlx::query_scalar("SELECT id FROM multitenancy.fences WHERE tenant_id = $1")
                .bind(tenant.id.as_uuid())
                .fetch_optional(&mut connection)
                .await
                .map_err(store_error)?;
        if let Some(fence) = fence
            && self.is_active(&mut connection, location, tenant.id).await?
        {
            // Lowers only this fence, also when the statement runs late: a later fence has another id.
            let lowering = sqlx::query("DELETE FROM multitenancy.fences WHERE tenant_id = $1 AND id = $2");
            let lowered = lowering.bind(tenant.id.as_uuid()).bind(fence).execute(&mut connection).await;
            lowered.map_err(store_error)?;
        }
        close(connection).await;
        Ok(())
    }

    /// Whether the registry lists the tenant as active. Waits for a running status change: it raised its fence
    /// earlier and holds the tenant's row until it ends.
    async fn is_active(
        &self,
        at_home: &mut PgConnection,
        location: StorageLocation,
        tenant: TenantId,
    ) -> Result<bool> {
        // The same lock strength as a status change and no stronger: a new membership references the row.
        let look = sqlx::query_scalar(
            "SELECT status FROM public.multitenancy_tenants WHERE id = $1 FOR NO KEY UPDATE",
        )
        .bind(tenant.as_uuid());
        let status: Option<String> = match location.database() {
            None => look.fetch_optional(at_home).await.map_err(store_error)?,
            Some(_) => {
                let mut registry = self.connect_patiently(StorageLocation::Control).await?;
                let status = look.fetch_optional(&mut registry).await.map_err(store_error)?;
                close(registry).await;
                status
            }
        };
        Ok(status.is_some_and(|status| status == TenantStatus::Active.as_str()))
    }

    /// Connects as the admin role, with a lock timeout longer than a statement may hold a lock.
    async fn connect_patiently(&self, location: StorageLocation) -> Result<PgConnection> {
        let longest = self.inner.pool.limits().longest.max(Duration::from_millis(1));
        self.inner.admin.connect_waiting(location, longest).await
    }

    #[expect(clippy::unused_async, reason = "the other engine waits here")]
    pub(super) async fn check_fence(&self, tenant: TenantId) -> Result<CommitGuard> {
        Ok(CommitGuard(tenant))
    }
}
