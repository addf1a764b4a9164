use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use multitenancy_core::{Plane, environment::monotonic, store::Signals};
use tokio::time::Instant;

/// How long a plane is not looked at again: so long may a process overlook that another has brought it to another schema,
/// when it does not hear of it.
const AGE: Duration = Duration::from_secs(5);

/// The planes whose storage was found to be there, at this program's schema.
#[derive(Debug, Default)]
pub(super) struct SchemaCache {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    until: HashMap<Plane, Instant>,
    /// How much this process is migrating just now: meanwhile nothing new is remembered.
    moving: usize,
    /// Counts how often something was forgotten: what was looked at before is not remembered.
    epoch: u64,
}

/// That somebody looks whether storage is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct CheckTicket {
    since: Instant,
    epoch: u64,
}

/// That storage is being migrated by this process.
#[derive(Debug)]
pub(super) struct MigrationGuard(Arc<SchemaCache>);

impl SchemaCache {
    /// One that forgets whatever is said to have changed.
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

    /// What to give [`remember`](Self::remember), from before looking.
    pub fn ticket(&self) -> CheckTicket {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        CheckTicket { since: monotonic(), epoch: state.epoch }
    }

    /// Remembers a plane that was found to be fine, unless anything was forgotten meanwhile.
    pub fn remember(&self, plane: Plane, ticket: CheckTicket) {
        let mut state = self.write();
        if state.moving == 0 && state.epoch == ticket.epoch {
            state.until.insert(plane, ticket.since + AGE);
        }
    }

    /// Forgets a plane, or all of them.
    pub fn forget(&self, plane: Option<Plane>) {
        self.write().forget(plane);
    }

    /// Forgets a plane, or all of them, until its storage has been migrated: each unit of work looks where it is.
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
