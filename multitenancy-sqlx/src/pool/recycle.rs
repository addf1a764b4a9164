//! Recycles idle connections whose last unit left work to roll back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::Connection;
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use super::{
    Key,
    budget::{Budget, Busy},
    close,
};

/// A connection that may be returned before it is idle on the wire.
pub(crate) trait Recycle: Connection + 'static {
    /// After this time an unused connection is recycled in the background.
    const ROLLBACK_GRACE: Duration;

    /// Whether no work is running on it, as far as this is known without waiting.
    fn is_idle(&self) -> bool;

    /// Rolls back the transaction of a read-only unit, and waits until no work is running. `false` when the
    /// connection cannot be used again.
    fn recycle(&mut self) -> impl Future<Output = bool> + Send;
}

/// Recycles returned connections in the background: at most one task.
#[derive(Default)]
pub(super) struct Recycler(Arc<AtomicBool>);

impl Recycler {
    /// Starts the task, unless it already runs.
    pub fn start<K, C>(&self, runtime: &Handle, budget: &Budget<K, C>, patience: Duration)
    where
        K: Key,
        C: Recycle,
    {
        let running = self.0.clone();
        if running.swap(true, Ordering::AcqRel) {
            return;
        }
        let (budget, ended) = (budget.clone(), Ended(Some(running.clone())));
        runtime.spawn(async move {
            loop {
                sleep(C::ROLLBACK_GRACE).await;
                recycle(&budget, patience);
                running.store(false, Ordering::Release);
                // Connections returned in the meantime saw a running task.
                if !budget.are_busy() || running.swap(true, Ordering::AcqRel) {
                    return ended.over();
                }
            }
        });
    }
}

/// Waits, in tasks and for a limited time, for returned connections that are still busy with the work of their last
/// unit.
pub(super) fn recycle<K: Key, C: Recycle>(budget: &Budget<K, C>, patience: Duration) {
    for busy in budget.take_busy() {
        let budget = budget.clone();
        tokio::spawn(async move {
            let Busy { key, mut connection, mut permit, generation } = busy;
            let recycled = timeout(patience, connection.recycle()).await;
            permit.left_open = false;
            let unwanted = match recycled {
                Ok(true) => budget.give_back(key, connection, permit, Some(generation)),
                Ok(false) => Some((connection, permit)),
                // Dropping closes the socket: a server that does not answer cannot receive a termination message
                // either.
                Err(_) => None,
            };
            if let Some((connection, permit)) = unwanted {
                close(connection).await;
                drop(permit);
            }
        });
    }
}

/// Allows another task to recycle when the runtime of the current one has ended.
struct Ended(Option<Arc<AtomicBool>>);

impl Ended {
    /// There is nothing to recycle, or another task recycles.
    fn over(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.store(false, Ordering::Release);
        }
    }
}
