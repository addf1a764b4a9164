//! Suspending, activating and canceling a tenant, in the order of decision 20: the registry's row is held, the tenant is
//! closed where its rows are, and then the registry commits.

use super::Organizations;
use crate::{
    audit::Action,
    error::{Error, Result, code},
    event::Event,
    id::TenantId,
    store::{UnitOfWorkExt, change_status},
    tenant::{
        ControlContext, Tenant, TenantActivated, TenantCanceled, TenantStatus, TenantSuspended, not_found,
    },
};

impl Organizations {
    /// Suspends an active tenant; publishes `tenant.suspended`. When this has returned, nothing that is written inside the
    /// tenant commits any more, in any process (S117).
    ///
    /// The caller of this method decides who may: no permission is checked here. 404 `tenant_not_found`; 409
    /// `invalid_transition` for a tenant that is not active.
    pub async fn suspend(&self, context: &ControlContext, tenant_id: TenantId) -> Result<Tenant> {
        self.change(context, tenant_id, TenantStatus::Suspended, TenantSuspended { tenant_id }).await
    }

    /// Activates a suspended tenant; publishes `tenant.activated`. Errors as [`suspend`](Self::suspend), 409 for a tenant
    /// that is not suspended.
    pub async fn activate(&self, context: &ControlContext, tenant_id: TenantId) -> Result<Tenant> {
        self.change(context, tenant_id, TenantStatus::Active, TenantActivated { tenant_id }).await
    }

    /// Cancels an active or suspended tenant, for good; publishes `tenant.canceled`. Its data stays. Errors as
    /// [`suspend`](Self::suspend).
    pub async fn cancel(&self, context: &ControlContext, tenant_id: TenantId) -> Result<Tenant> {
        self.change(context, tenant_id, TenantStatus::Canceled, TenantCanceled { tenant_id }).await
    }

    async fn change<E: Event>(
        &self,
        context: &ControlContext,
        id: TenantId,
        to: TenantStatus,
        event: E,
    ) -> Result<Tenant> {
        let store = &**self.access.store();
        let mut unit = store.control(context).await?;
        let tenant = unit.tenants().find(&id.into()).await?.ok_or_else(not_found)?;
        // A tenant becomes active for the first time by its creation alone.
        if tenant.status == TenantStatus::Provisioning {
            return Err(Error::of(code::INVALID_TRANSITION).with_context("tenant", id));
        }
        let status = tenant.status.transition(to)?;
        let changed = change_status(store, &mut *unit, &tenant, status, store.environment().now()).await?;
        let changed =
            changed.ok_or_else(|| Error::of(code::INVALID_TRANSITION).with_context("tenant", id))?;
        unit.publish(event).await?;
        unit.record(Action::new(E::TYPE, "tenant", id).detail("from", tenant.status.to_string())).await?;
        changed.commit(store, unit).await
    }
}
