//! Bringing idle connections to rest: those that a unit has left with something to be taken back.

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

/// A connection that may be given back before it is at rest.
pub(crate) trait Recycle: Connection + 'static {
    /// After so long a connection that nobody has wanted is brought to rest by itself.
    const ROLLBACK_GRACE: Duration;

    /// Whether nothing is under way on it, as far as can be told without waiting.
    fn is_idle(&self) -> bool;

    /// Rolls back what a unit that read has left, and waits until nothing is under way. `false` when the connection can
    /// not be used again.
    fn recycle(&mut self) -> impl Future<Output = bool> + Send;
}

/// Recycles returned connections in the background: at most one task.
#[derive(Default)]
pub(super) struct Recycler(Arc<AtomicBool>);

impl Recycler {
    /// Starts the task, unless it runs.
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
                // What came back in between has seen that it is seen to.
                if !budget.are_busy() || running.swap(true, Ordering::AcqRel) {
                    return ended.over();
                }
            }
        });
    }
}

/// Waits, in tasks, for the connections that came back and are still busy with what was left behind on them; for so long.
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
                // Its socket is closed as it is dropped: whoever does not answer does not hear a farewell either.
                Err(_) => None,
            };
            if let Some((connection, permit)) = unwanted {
                close(connection).await;
                drop(permit);
            }
        });
    }
}

/// Lets another task settle when the runtime of the one that does has ended.
struct Ended(Option<Arc<AtomicBool>>);

impl Ended {
    /// There is nothing to settle, or another task does.
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
