//! The fences around tenants, each in the database where its tenant's rows are. Units of work can not write them, so it takes
//! the rights of whoever provisions.

use multitenancy_core::{Isolation, Result, TenantId};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{
    PgStore,
    engine::{Passing, execute},
    error::store_error,
    migration,
    place::Home,
};
use crate::connections::close;

impl PgStore {
    /// Waits, as long as one waits for a connection, for what is being committed.
    pub(super) async fn raise_fence(
        &self,
        tenant: TenantId,
        isolation: Isolation,
        fence: Uuid,
    ) -> Result<()> {
        let home = Home::of_tenant(tenant, isolation);
        let mut connection = match self.inner.admin.connect(home).await {
            // Nothing can be written there.
            Err(error) if error.code() == migration::MISSING => return Ok(()),
            other => other?,
        };
        let bound = format!("SET lock_timeout = {}", self.inner.pool.limits().wait.as_millis());
        execute(&mut connection, AssertSqlSafe(bound)).await.map_err(store_error)?;
        let raising =
            sqlx::query("SELECT multitenancy.raise_fence($1, $2)").bind(tenant.as_uuid()).bind(fence);
        raising.execute(&mut connection).await.map_err(store_error)?;
        close(connection).await;
        Ok(())
    }

    pub(super) async fn fence(&self, tenant: TenantId, isolation: Isolation) -> Result<Option<Uuid>> {
        let mut connection = self.inner.admin.connect(Home::of_tenant(tenant, isolation)).await?;
        let fence = sqlx::query_scalar("SELECT id FROM multitenancy.fences WHERE tenant_id = $1")
            .bind(tenant.as_uuid())
            .fetch_optional(&mut connection)
            .await
            .map_err(store_error)?;
        close(connection).await;
        Ok(fence)
    }

    pub(super) async fn lower_fence(
        &self,
        tenant: TenantId,
        isolation: Isolation,
        fence: Uuid,
    ) -> Result<()> {
        let mut connection = self.inner.admin.connect(Home::of_tenant(tenant, isolation)).await?;
        let lowering = sqlx::query("DELETE FROM multitenancy.fences WHERE tenant_id = $1 AND id = $2");
        let lowered = lowering.bind(tenant.as_uuid()).bind(fence).execute(&mut connection).await;
        lowered.map_err(store_error)?;
        close(connection).await;
        Ok(())
    }

    #[expect(clippy::unused_async, reason = "the other engine waits here")]
    pub(super) async fn pass_fence(&self, tenant: TenantId) -> Result<Passing> {
        Ok(Passing(tenant))
    }
}

/// Lowers whatever fence there is around a tenant that is no more.
pub(super) async fn forget(connection: &mut PgConnection, tenant: TenantId) -> Result<()> {
    let forgetting =
        sqlx::query("DELETE FROM multitenancy.fences WHERE tenant_id = $1").bind(tenant.as_uuid());
    forgetting.execute(connection).await.map(drop).map_err(store_error)
}
