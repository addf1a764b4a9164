use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    error::{Error, Result},
    id::{Plane, TenantId},
    store::fleet::{
        AppliedMigration, Fleet, FleetOptions, FleetRun, FleetState, FleetStatus, FleetTenant, FleetWorker,
        Outcome, Target, Tenants,
    },
    tenant::{ControlContext, TenantStatus},
};

/// There are no migrations in memory: every tenant is always where it can be.
#[async_trait]
impl Fleet for MemoryStore {
    async fn migrate_all(&self, options: &FleetOptions) -> Result<FleetRun> {
        if let Target::Version(version) = options.target
            && version != 0
        {
            return Err(Error::config(format!("there is no migration {version}: this store has none")));
        }
        let tenants = self.chosen(&options.tenants)?;
        Ok(FleetRun::start(tenants.len(), Vec::new(), Vec::<Nobody>::new()))
    }

    async fn status(&self, tenants: &Tenants) -> Result<Vec<FleetStatus>> {
        let states = self.chosen(tenants)?.into_iter().map(|tenant| {
            let state = self.tenant(tenant.id).map(|_| FleetState { current: true, ..FleetState::default() });
            FleetStatus { tenant, state }
        });
        Ok(states.collect())
    }

    async fn history(&self, tenant: TenantId) -> Result<Vec<AppliedMigration>> {
        self.chosen(&Tenants::Only(vec![tenant])).map(|_| Vec::new())
    }
}

impl MemoryStore {
    fn chosen(&self, tenants: &Tenants) -> Result<Vec<FleetTenant>> {
        let origin = ControlContext::system("migration");
        let unit = self.unit(&self.inner.control, Plane::Control, origin.origin());
        let alive = unit
            .working
            .registry
            .tenants()
            .filter(|tenant| matches!(tenant.status, TenantStatus::Active | TenantStatus::Suspended));
        let alive = alive.map(|tenant| FleetTenant {
            id: tenant.id,
            slug: tenant.slug.clone(),
            isolation: tenant.isolation,
        });
        tenants.choose(alive.collect())
    }
}

/// Nothing is ever to be done.
enum Nobody {}

#[async_trait]
impl FleetWorker for Nobody {
    async fn migrate(&mut self, _tenants: &[FleetTenant]) -> Result<Outcome> {
        match *self {}
    }

    async fn close(&mut self) {
        match *self {}
    }
}
