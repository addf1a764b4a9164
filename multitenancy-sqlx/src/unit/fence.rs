//! The fence around a suspended or canceled tenant: no write inside it is committed (S117).
//!
//! The fence is stored where the tenant's rows are, so a COMMIT checks it without a query to the registry. It is
//! raised before the registry lists the tenant as closed, and lowered after the registry lists it as active. So a
//! process that ends in between leaves a stale fence and never a missing one. The first unit that a stale fence stops
//! has it lowered.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use multitenancy_core::{
    ControlContext, ControlTransaction, Error, Result, Store, TenantId, error::code, tenant::TenantStatus,
};

use super::{Engine, Unit};

impl Unit {
    /// Commits a unit inside a tenant, unless the tenant is closed by then.
    pub(crate) async fn commit_inside(self, tenant: TenantId) -> Result<()> {
        let store = self.store.clone();
        let committed = match self.store.check_fence(tenant).await {
            Ok(guard) => self.lease.commit(Some(guard)).await,
            Err(stopped) => {
                drop(self.lease);
                Err(stopped)
            }
        };
        match committed {
            Err(error) if error.is(code::TENANT_INACTIVE) => Err(store.classify_stop(tenant, error).await),
            other => other,
        }
    }
}

impl Engine {
    /// Classifies a stop by a fence: the tenant is closed, a status change is running, or a status change ended early
    /// and left a stale fence. A stale fence is lowered, and the unit may be retried.
    async fn classify_stop(&self, tenant: TenantId, stopped: Error) -> Error {
        // The caller did not know of the closure when the unit began.
        self.signals().tenant_changed(tenant);
        let found = match self.read_control(&ControlContext::system("fences")).await {
            Ok(mut registry) => registry.tenants().find(&tenant.into()).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(Some(tenant)) if tenant.status == TenantStatus::Active => {
                let again = Error::overloaded("the organization has just changed: try again", AGAIN);
                // Of several units stopped at once, one lowers the fence.
                let Some(_repair) = self.repairs().begin(tenant.id) else { return again };
                match self.lower_stale_fence(&tenant).await {
                    Ok(()) => again,
                    Err(error) => again.with_source(error),
                }
            }
            Ok(_) => stopped,
            Err(error) => error,
        }
    }
}

/// The retry delay for a unit stopped by a fence around an active tenant.
const AGAIN: Duration = Duration::from_secs(1);

/// The tenants whose fence is being lowered on behalf of a stopped unit.
#[derive(Clone, Default)]
pub(crate) struct RepairsInFlight(Arc<Mutex<HashSet<TenantId>>>);

impl RepairsInFlight {
    /// `None` when another unit lowers the fence already.
    fn begin(&self, tenant: TenantId) -> Option<impl Drop> {
        self.tenants().insert(tenant).then(|| RepairGuard(self.clone(), tenant))
    }

    fn tenants(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct RepairGuard(RepairsInFlight, TenantId);

impl Drop for RepairGuard {
    fn drop(&mut self) {
        self.0.tenants().remove(&self.1);
    }
}
