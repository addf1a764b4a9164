//! The fence around a tenant that is suspended or canceled: nothing that is written inside it is committed (S117).
//!
//! It stands where the tenant's rows are, so that a COMMIT passes it without asking the registry. It is raised before
//! the registry calls the tenant closed and lowered after the registry calls it active, so a process that ends in
//! between leaves one too many and never one too few. The first who is stopped by that one has it lowered.

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
    /// Commits a unit inside a tenant, unless that is closed by then.
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
    /// Why a unit was stopped by a fence: because its tenant is closed, or because whoever raised it is not done, or has
    /// not come to its end. Then it is lowered, and the unit may be tried again.
    async fn classify_stop(&self, tenant: TenantId, stopped: Error) -> Error {
        // Whoever began it did not know.
        self.signals().tenant_changed(tenant);
        let found = match self.read_control(&ControlContext::system("fences")).await {
            Ok(mut registry) => registry.tenants().find(&tenant.into()).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(Some(tenant)) if tenant.status == TenantStatus::Active => {
                let again = Error::overloaded("the organization has just changed: try again", AGAIN);
                // Those who are stopped at the same time leave it to one of them.
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

/// When to try again what was stopped by a fence around an active tenant.
const AGAIN: Duration = Duration::from_secs(1);

/// The tenants whose fence is being lowered, on behalf of a unit that was stopped by it.
#[derive(Clone, Default)]
pub(crate) struct RepairsInFlight(Arc<Mutex<HashSet<TenantId>>>);

impl RepairsInFlight {
    /// `None` when somebody is at it.
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
