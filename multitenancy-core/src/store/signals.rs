use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Mutex, PoisonError, RwLock},
};

use tokio::sync::Notify;

use crate::id::{Plane, TenantId};

/// What commits have changed, told inside this process: hints that make things fast, never what makes them right.
/// A hint that is lost in a crash costs time: the relay looks through all outboxes at its start, and caches end by
/// their age.
#[derive(Default)]
pub struct Signals {
    outboxes: Mutex<Outboxes>,
    grown: Notify,
    tenant_listeners: RwLock<Vec<Listener>>,
}

type Listener = Box<dyn Fn(Option<TenantId>) + Send + Sync>;

#[derive(Default)]
struct Outboxes {
    order: VecDeque<Plane>,
    known: HashSet<Plane>,
}

impl Signals {
    /// Tells that the outbox of `plane` may hold something that is due.
    pub fn outbox_grew(&self, plane: Plane) {
        let mut outboxes = self.outboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if outboxes.known.insert(plane) {
            outboxes.order.push_back(plane);
            self.grown.notify_one();
        }
    }

    /// Waits for an outbox that has grown, each once, in their order. Safe to drop at any point.
    pub async fn next_outbox(&self) -> Plane {
        loop {
            if let Some(plane) = self.try_next_outbox() {
                return plane;
            }
            self.grown.notified().await;
        }
    }

    /// The next outbox that has grown, if there is one.
    pub fn try_next_outbox(&self) -> Option<Plane> {
        let mut outboxes = self.outboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let plane = outboxes.order.pop_front()?;
        outboxes.known.remove(&plane);
        Some(plane)
    }

    /// Tells that a tenant's row has changed. Its outbox is looked at too: events of a tenant that was not active
    /// have been waiting.
    pub fn tenant_changed(&self, id: TenantId) {
        self.tell(Some(id));
        self.outbox_grew(Plane::Tenant(id));
    }

    /// Tells that any tenant's row may have changed, as when other processes could not be heard for a while.
    pub fn tenants_changed(&self) {
        self.tell(None);
    }

    /// Calls `listener` at every change of a tenant's row, before the commit returns to its caller; with `None` when it
    /// may be any tenant's.
    pub fn on_tenant_changed(&self, listener: impl Fn(Option<TenantId>) + Send + Sync + 'static) {
        self.tenant_listeners.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    fn tell(&self, changed: Option<TenantId>) {
        for listener in self.tenant_listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(changed);
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}
