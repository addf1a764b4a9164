use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::Duration,
};

use multitenancy_core::{Plane, environment::monotonic};
use tokio::time::Instant;

/// How long a plane is not looked at again: so long may a process overlook that another has brought it to another schema,
/// when it does not hear of it.
const AGE: Duration = Duration::from_secs(5);

/// The planes whose storage was found to be there, at this program's schema.
#[derive(Debug, Default)]
pub(super) struct Checked {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    until: HashMap<Plane, Instant>,
    /// How much this process is migrating just now: meanwhile nothing new is remembered.
    moving: usize,
}

/// That storage is being migrated by this process.
#[derive(Debug)]
pub(super) struct Moving(Arc<Checked>);

impl Checked {
    pub fn contains(&self, plane: Plane) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.until.get(&plane).is_some_and(|until| monotonic() < *until)
    }

    /// Remembers a plane that was found to be fine after `asked`.
    pub fn insert(&self, plane: Plane, asked: Instant) {
        let mut state = self.write();
        if state.moving == 0 {
            state.until.insert(plane, asked + AGE);
        }
    }

    /// Forgets a plane, or all of them.
    pub fn forget(&self, plane: Option<Plane>) {
        self.write().forget(plane);
    }

    /// Forgets a plane, or all of them, until its storage has been migrated: each unit of work looks where it is.
    pub fn moving(self: &Arc<Self>, plane: Option<Plane>) -> Moving {
        let mut state = self.write();
        state.moving += 1;
        state.forget(plane);
        drop(state);
        Moving(self.clone())
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, plane: Option<Plane>) {
        match plane {
            Some(plane) => drop(self.until.remove(&plane)),
            None => self.until.clear(),
        }
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.write().moving -= 1;
    }
}
