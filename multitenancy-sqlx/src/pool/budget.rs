//! The budget: it limits the number of open connections and passes each returned one to a waiting task.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use multitenancy_core::environment::monotonic;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout},
};

use super::{Key, Recycle};

/// A task that waits for the same key is served first, because that is cheap, but only for this long: then the task
/// that has waited longest is served, for any key.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long a task waits for a connection to its own key before a connection to another key is closed for it: a unit
/// of work takes less, and opening a connection takes more than most units.
const GRACE: Duration = Duration::from_millis(10);

pub(super) struct Budget<K: Key, C>(Arc<Shared<K, C>>);

impl<K: Key, C> Clone for Budget<K, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<K: Key, C> {
    limit: usize,
    state: Mutex<State<K, C>>,
    emptied: Notify,
}

struct State<K: Key, C> {
    /// The permits in use.
    open: usize,
    closed: bool,
    /// Counts how often idle connections were removed to be closed.
    generation: u64,
    /// Idle connections, the longest idle first.
    idle: VecDeque<Idle<K, C>>,
    /// The waiting tasks, in order. While a task waits for any permit, no connection stays idle.
    waiting: VecDeque<Waiting<K, C>>,
    /// The number of connections in use per key.
    checked_out: HashMap<K, usize>,
}

struct Idle<K: Key, C> {
    key: K,
    since: Instant,
    connection: C,
    permit: BudgetPermit<K, C>,
}

/// A returned connection that is still busy with the work of its last unit.
pub(super) struct Busy<K: Key, C> {
    pub key: K,
    pub connection: C,
    pub permit: BudgetPermit<K, C>,
    pub generation: u64,
}

struct Waiting<K: Key, C> {
    key: K,
    /// Waits for any permit, and not only for a connection to this key.
    any: bool,
    since: Instant,
    sender: oneshot::Sender<Found<K, C>>,
}

/// The right to one open connection; returned to the budget when dropped.
pub(super) struct BudgetPermit<K: Key, C> {
    /// Weak, because idle permits are part of the budget: they close with it.
    shared: Weak<Shared<K, C>>,
    /// The key it is checked out to.
    checked_out_to: Option<K>,
    /// When its connection was opened.
    since: Instant,
    /// Whether its connection has an open transaction to roll back.
    pub left_open: bool,
}

/// What a task receives.
pub(super) enum Found<K: Key, C> {
    /// An open connection to the key.
    Connection(C, BudgetPermit<K, C>),
    /// A connection to another key, to be closed.
    Evicted(C, BudgetPermit<K, C>),
    /// A permit to open a new connection.
    Room(BudgetPermit<K, C>),
}

/// What is available at once, or a receiver to wait on.
type Sought<K, C> = Result<Found<K, C>, oneshot::Receiver<Found<K, C>>>;

impl<K: Key, C: Recycle> Budget<K, C> {
    pub fn new(limit: usize) -> Self {
        let state = State {
            open: 0,
            closed: false,
            generation: 0,
            idle: VecDeque::new(),
            waiting: VecDeque::new(),
            checked_out: HashMap::new(),
        };
        Self(Arc::new(Shared { limit, state: Mutex::new(state), emptied: Notify::new() }))
    }

    /// An idle connection to `key` that is idle on the wire, or soon will be.
    pub fn ready(&self, key: K) -> Option<Found<K, C>> {
        let mut state = self.0.state();
        // The last returned first: the next message also finishes its pending rollback.
        let at_hand = |idle: &Idle<K, C>| {
            idle.key == key && (idle.connection.is_idle() || idle.since.elapsed() < C::ROLLBACK_GRACE)
        };
        let index = state.idle.iter().rposition(at_hand)?;
        let idle = state.idle.remove(index)?;
        Some(Found::Connection(idle.connection, state.check_out(idle.permit, key)))
    }

    /// Whether an idle connection may still be busy.
    pub fn are_busy(&self) -> bool {
        self.0.state().idle.iter().any(|idle| !idle.is_idle())
    }

    /// Removes the idle connections that are still busy.
    pub fn take_busy(&self) -> Vec<Busy<K, C>> {
        let mut state = self.0.state();
        let generation = state.generation;
        let (busy, idle): (VecDeque<_>, _) = state
            .idle
            .drain(..)
            .partition(|idle| !idle.is_idle() && idle.since.elapsed() >= C::ROLLBACK_GRACE);
        state.idle = idle;
        let busy = busy.into_iter();
        busy.map(|Idle { key, connection, permit, .. }| Busy { key, connection, permit, generation })
            .collect()
    }

    /// A connection to `key`, or a permit to open one; waits in order if there is neither. `None` once closed.
    pub async fn find(&self, key: K) -> Option<Found<K, C>> {
        let soon = match self.seek(key, false)? {
            Ok(found) => return Some(found),
            Err(waiting) => waiting,
        };
        if let Ok(found) = timeout(GRACE, soon).await {
            return found.ok();
        }
        match self.seek(key, true)? {
            Ok(found) => Some(found),
            Err(waiting) => waiting.await.ok(),
        }
    }

    /// What is available without waiting, or a receiver to wait on. Accepts any permit, also one of another key, when
    /// `any` is set or when no connection to `key` can come back. `None` once closed.
    fn seek(&self, key: K, any: bool) -> Option<Sought<K, C>> {
        let mut state = self.0.state();
        if state.closed {
            return None;
        }
        if let Some(index) = state.idle.iter().rposition(|idle| idle.key == key) {
            let idle = state.idle.remove(index)?;
            return Some(Ok(Found::Connection(idle.connection, state.check_out(idle.permit, key))));
        }
        if state.open < self.0.limit {
            state.open += 1;
            return Some(Ok(Found::Room(state.check_out(BudgetPermit::new(&self.0), key))));
        }
        let any = any || !state.checked_out.contains_key(&key);
        if any && let Some(idle) = state.spare() {
            return Some(Ok(Found::Evicted(idle.connection, state.check_out(idle.permit, key))));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.retain(|waiting| !waiting.sender.is_closed());
        state.waiting.push_back(Waiting { key, any, since: monotonic(), sender });
        Some(Err(receiver))
    }

    /// Passes a connection to a task that waits for its key, or keeps it idle. Returns it, to be closed, when a task
    /// waits for any permit, when the budget is closed, or when idle connections were closed since `generation`.
    pub fn give_back(
        &self,
        key: K,
        connection: C,
        permit: BudgetPermit<K, C>,
        generation: Option<u64>,
    ) -> Option<(C, BudgetPermit<K, C>)> {
        let mut state = self.0.state();
        if state.closed || generation.is_some_and(|generation| generation != state.generation) {
            return Some((connection, permit));
        }
        let (mut connection, mut permit) = (connection, state.check_out(permit, key));
        while let Some(index) = state.next(key) {
            let Some(waiting) = state.waiting.remove(index) else { break };
            match waiting.sender.send(Found::Connection(connection, permit)) {
                Err(Found::Connection(back, its)) => (connection, permit) = (back, its),
                _ => return None,
            }
        }
        state.returned(&mut permit);
        if state.waiting.iter().any(|waiting| waiting.any && !waiting.sender.is_closed()) {
            return Some((connection, permit));
        }
        state.idle.push_back(Idle { key, since: monotonic(), connection, permit });
        None
    }

    /// Removes the idle connections to those keys.
    pub fn take_idle(&self, keys: impl Fn(K) -> bool) -> Vec<(C, BudgetPermit<K, C>)> {
        let mut state = self.0.state();
        state.generation += 1;
        let (taken, kept): (VecDeque<_>, _) = state.idle.drain(..).partition(|idle| keys(idle.key));
        state.idle = kept;
        taken.into_iter().map(|idle| (idle.connection, idle.permit)).collect()
    }

    /// Closes the budget: later calls find nothing. Returns the idle connections, to be closed.
    pub fn close(&self) -> Vec<(C, BudgetPermit<K, C>)> {
        let waiting = {
            let mut state = self.0.state();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
        self.take_idle(|_| true)
    }

    /// Waits until no connection is open.
    pub async fn empty(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.0.state().open == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl<K: Key, C: Recycle> Idle<K, C> {
    fn is_idle(&self) -> bool {
        self.connection.is_idle() && !self.permit.left_open
    }
}

impl<K: Key, C> State<K, C> {
    /// Records the key that a permit is checked out to.
    fn check_out(&mut self, mut permit: BudgetPermit<K, C>, key: K) -> BudgetPermit<K, C> {
        self.returned(&mut permit);
        *self.checked_out.entry(key).or_default() += 1;
        permit.checked_out_to = Some(key);
        permit
    }

    /// The idle connection to close for another key: the longest idle one, if possible of a key that has more than
    /// one. The last connection of a key would soon be reopened.
    fn spare(&mut self) -> Option<Idle<K, C>> {
        let has_more = |idle: &Idle<K, C>| {
            let same = self.idle.iter().filter(|other| other.key == idle.key);
            self.checked_out.contains_key(&idle.key) || same.count() > 1
        };
        let index = self.idle.iter().position(has_more).unwrap_or_default();
        self.idle.remove(index)
    }

    /// Records that a permit is no longer checked out.
    fn returned(&mut self, permit: &mut BudgetPermit<K, C>) {
        let Some(key) = permit.checked_out_to.take() else { return };
        if let Some(count) = self.checked_out.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.checked_out.remove(&key);
            }
        }
    }

    /// The task that gets a connection to `key`: the one that has waited longest for it, unless another task has
    /// waited too long.
    fn next(&self, key: K) -> Option<usize> {
        let first = self.waiting.front()?;
        if first.key != key && first.since.elapsed() > PATIENCE {
            return None;
        }
        self.waiting.iter().position(|waiting| waiting.key == key)
    }
}

impl<K: Key, C> Shared<K, C> {
    fn state(&self) -> MutexGuard<'_, State<K, C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, C> BudgetPermit<K, C> {
    fn new(shared: &Arc<Shared<K, C>>) -> Self {
        Self { shared: Arc::downgrade(shared), checked_out_to: None, since: monotonic(), left_open: false }
    }

    /// Resets the age for a connection that is opened now.
    pub fn reset_age(mut self) -> Self {
        self.since = monotonic();
        self.left_open = false;
        self
    }

    /// The age of its connection.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

impl<K: Key, C> Drop for BudgetPermit<K, C> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut state = shared.state();
        state.returned(self);
        while let Some(waiting) = state.waiting.pop_front() {
            let permit = state.check_out(BudgetPermit::new(&shared), waiting.key);
            match waiting.sender.send(Found::Room(permit)) {
                // The task stopped waiting: the permit is still ours to pass on.
                Err(Found::Room(mut permit)) => {
                    state.returned(&mut permit);
                    permit.shared = Weak::new();
                }
                _ => return,
            }
        }
        state.open -= 1;
        if state.open == 0 {
            shared.emptied.notify_waiters();
        }
    }
}
