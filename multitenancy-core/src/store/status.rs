//! A tenant's status changes with a fence around what is written inside it (S117).

use super::{ControlTransaction, Store};
use crate::{
    environment::Timestamp,
    error::Result,
    tenant::{StatusChange, Tenant, TenantStatus},
};

/// A change of a tenant's status that is not committed yet.
#[derive(Debug)]
#[must_use = "it is committed by `commit`"]
pub struct ChangedStatus {
    from: TenantStatus,
    tenant: Tenant,
}

/// Moves `tenant` from the status that it is given with to another, in `unit`; `None`, and nothing happens, when the
/// registry has another one.
///
/// The unit holds the tenant's row first, and then the tenant is [closed](Store::close), if it is to be. So a process that
/// ends before the commit leaves an active tenant with a fence, which the first unit that it stops has removed, and never
/// a closed one without. This is the only way to [`set_status`](crate::tenant::TenantRepository::set_status).
pub async fn change_status<S, U>(
    store: &S,
    unit: &mut U,
    tenant: &Tenant,
    to: TenantStatus,
    at: Timestamp,
) -> Result<Option<ChangedStatus>>
where
    S: Store + ?Sized,
    U: ControlTransaction + ?Sized,
{
    let (id, from) = (tenant.id, tenant.status);
    if !unit.tenants().set_status(&StatusChange { tenant: id, from, to, at }).await? {
        return Ok(None);
    }
    if to.is_closed() {
        store.close(tenant).await?;
    }
    Ok(Some(ChangedStatus { from, tenant: Tenant { status: to, updated_at: at, ..tenant.clone() } }))
}

impl ChangedStatus {
    /// The tenant with its new status.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Commits the unit that the status was changed in, and lowers a fence that is not needed any more.
    pub async fn commit<S, U>(self, store: &S, unit: Box<U>) -> Result<Tenant>
    where
        S: Store + ?Sized,
        U: ControlTransaction + ?Sized,
    {
        let Self { from, tenant } = self;
        let committed = unit.commit().await;
        if (from.is_closed() || tenant.status.is_closed() && committed.is_err())
            && let Err(error) = store.reopen(&tenant).await
        {
            tracing::warn!(tenant = %tenant.id, error = ?error, "a fence may be left standing for now");
        }
        committed.map(|()| tenant)
    }
}
