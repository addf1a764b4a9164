use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use multitenancy_core::{Plane, environment::monotonic, store::Signals};
use tokio::time::Instant;

/// How long a checked plane is trusted. A process that misses the notification may overlook a migration by another
/// process for this time.
const AGE: Duration = Duration::from_secs(5);

/// The planes whose storage exists and is at this program's schema.
#[derive(Debug, Default)]
pub(super) struct SchemaCache {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    until: HashMap<Plane, Instant>,
    /// The number of running migrations in this process: meanwhile nothing is added to the cache.
    moving: usize,
    /// Counts the invalidations: a check that began before one is not remembered.
    epoch: u64,
}

/// Proof of when a check of storage began.
#[derive(Debug, Clone, Copy)]
pub(super) struct CheckTicket {
    since: Instant,
    epoch: u64,
}

/// Proof that this process migrates storage.
#[derive(Debug)]
pub(super) struct MigrationGuard(Arc<SchemaCache>);

impl SchemaCache {
    /// A cache that forgets every plane that the signals report as changed.
    pub fn following(signals: &Signals) -> Arc<Self> {
        let checked = Arc::<Self>::default();
        let forgetting = checked.clone();
        signals.on_tenant_changed(move |tenant| forgetting.forget(tenant.map(Plane::Tenant)));
        checked
    }

    pub fn contains(&self, plane: Plane) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.until.get(&plane).is_some_and(|until| monotonic() < *until)
    }

    /// The ticket for [`remember`](Self::remember). Take it before the check.
    pub fn ticket(&self) -> CheckTicket {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        CheckTicket { since: monotonic(), epoch: state.epoch }
    }

    /// Remembers a plane that passed its check, unless an invalidation happened since the ticket.
    pub fn remember(&self, plane: Plane, ticket: CheckTicket) {
        let mut state = self.write();
        if state.moving == 0 && state.epoch == ticket.epoch {
            state.until.insert(plane, ticket.since + AGE);
        }
    }

    /// Forgets one plane, or all of them.
    pub fn forget(&self, plane: Option<Plane>) {
        self.write().forget(plane);
    }

    /// Forgets one plane, or all of them, until the migration of its storage ends: meanwhile each unit of work checks
    /// its storage.
    pub fn moving(self: &Arc<Self>, plane: Option<Plane>) -> MigrationGuard {
        let mut state = self.write();
        state.moving += 1;
        state.forget(plane);
        drop(state);
        MigrationGuard(self.clone())
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, plane: Option<Plane>) {
        self.epoch += 1;
        match plane {
            Some(plane) => drop(self.until.remove(&plane)),
            None => self.until.clear(),
        }
    }
}

impl Drop for MigrationGuard {
    fn drop(&mut self) {
        let mut state = self.0.write();
        state.moving -= 1;
        state.epoch += 1;
    }
}
