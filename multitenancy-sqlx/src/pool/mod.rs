//! Connections to many keys under one budget.
//!
//! An open connection costs a thread (SQLite) or a server process (PostgreSQL). So the total number is limited over
//! all keys, and the longest idle connection is closed to make space. Tasks that share a limit, such as the writers
//! of one file or the units of one tenant, share a lane. A lane admits tasks in order, and only a limited number at
//! once, so that a burst in one lane leaves permits for the others. A leased connection is never taken away.

mod budget;
mod recycle;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use multitenancy_core::{Error, Result, environment::monotonic, error::code};
use sqlx::Connection;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

pub(crate) use self::recycle::Recycle;
use self::{
    budget::{Budget, BudgetPermit, Found},
    recycle::{Recycler, recycle},
};

/// Upper bound on opening a connection.
const OPENING: Duration = Duration::from_secs(5);

/// The limits of a [`Pool`].
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// The maximum number of open connections, over all keys.
    pub open: usize,
    /// How long to wait for a permit.
    pub wait: Duration,
    /// The maximum age of a connection: an older one is closed when it is returned.
    pub lifetime: Option<Duration>,
    /// The maximum duration of a statement: a connection that is busy for longer is dropped.
    pub longest: Duration,
    /// Whether a read-only unit may leave its rollback to the next unit.
    pub defers: bool,
}

/// The key of a connection: where it leads.
pub(crate) trait Key: Copy + Eq + Hash + Send + 'static {}

impl<K: Copy + Eq + Hash + Send + 'static> Key for K {}

/// `L` identifies a lane, and `K` where a connection leads: idle connections of the same key are interchangeable.
pub(crate) struct Pool<L, K: Key, C> {
    limits: Limits,
    lanes: Mutex<HashMap<L, Lane>>,
    budget: Budget<K, C>,
    recycler: Recycler,
}

#[derive(Clone)]
struct Lane {
    turns: Arc<Semaphore>,
    /// Counts how often the lane's connections were closed: a connection that was in use then is not kept when it is
    /// returned.
    generation: u64,
    /// The number of cut-off units whose outcome is still open.
    cut_off: watch::Sender<usize>,
}

/// The right to one connection: admission to its lane, and a permit of the budget.
pub(crate) struct Permit<L, K: Key, C> {
    lane: L,
    key: K,
    /// Whether the connection was opened earlier, and may have died since.
    pub reused: bool,
    generation: u64,
    cut_off: watch::Sender<usize>,
    room: BudgetPermit<K, C>,
    _turn: OwnedSemaphorePermit,
}

impl<L, K, C> Pool<L, K, C>
where
    L: Copy + Eq + Hash,
    K: Key,
    C: Recycle,
{
    pub fn new(limits: Limits) -> Self {
        Self {
            budget: Budget::new(limits.open),
            limits,
            lanes: Mutex::default(),
            recycler: Recycler::default(),
        }
    }

    /// A connection to `key`, opened with `open` when none is idle. Waits for admission to `lane`, which admits
    /// `width` tasks at once, and for a permit; in order, and until `deadline`.
    pub async fn acquire<F, O>(
        &self,
        (lane, width): (L, usize),
        key: K,
        deadline: Instant,
        open: F,
    ) -> Result<(C, Permit<L, K, C>)>
    where
        F: FnOnce() -> O,
        O: Future<Output = Result<C>>,
    {
        let Lane { turns, generation, cut_off } = self.lane(lane, width);
        let turn = match turns.clone().try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => waiting(deadline, turns.acquire_owned()).await?.map_err(Error::internal)?,
        };
        if *cut_off.borrow() > 0 {
            // A caller that was cut off and retries must see the outcome of its first attempt.
            let mut left = cut_off.subscribe();
            waiting(deadline, left.wait_for(|count| *count == 0)).await?.map_err(Error::internal)?;
        }
        let found = match self.budget.ready(key) {
            Some(found) => Some(found),
            None => {
                recycle(&self.budget, self.limits.longest);
                waiting(deadline, self.budget.find(key)).await?
            }
        };
        let permit = |reused, room| Permit { lane, key, reused, generation, cut_off, room, _turn: turn };
        match found.ok_or_else(closed)? {
            Found::Connection(connection, room) => Ok((connection, permit(true, room))),
            Found::Evicted(other, room) => {
                // The connection is closed before its permit is passed on, also when the caller stops waiting: the
                // limit holds at every instant.
                let closing = tokio::spawn(async move {
                    close(other).await;
                    room
                });
                let room = waiting(deadline, closing).await?.map_err(Error::internal)?;
                Ok((opening(open()).await?, permit(false, room.reset_age())))
            }
            Found::Room(room) => Ok((opening(open()).await?, permit(false, room.reset_age()))),
        }
    }

    /// Waits until `lane` is empty, and admits no task while the result is held.
    #[cfg(feature = "sqlite")]
    pub async fn alone(&self, lane: L, width: usize) -> Result<OwnedSemaphorePermit> {
        let all = u32::try_from(width).map_err(Error::internal)?;
        let turns = self.lane(lane, width).turns.acquire_many_owned(all);
        let turns = waiting(self.deadline(), turns).await?;
        turns.map_err(Error::internal)
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The deadline of a wait that begins now.
    pub fn deadline(&self) -> Instant {
        monotonic() + self.limits.wait
    }

    /// Returns a clean connection. Gives it back to the caller when a task waits for its permit, or when the lane's
    /// connections were closed in the meantime: close it, then drop it.
    pub fn release(&self, connection: C, permit: Permit<L, K, C>) -> Option<(C, Permit<L, K, C>)> {
        let generation = self.lanes().get(&permit.lane).map(|lane| lane.generation);
        let outlived = self.limits.lifetime.is_some_and(|lifetime| permit.room.age() > lifetime);
        let is_idle = connection.is_idle() && !permit.room.left_open;
        let runtime = Handle::try_current();
        if generation != Some(permit.generation) || outlived || (!is_idle && runtime.is_err()) {
            return Some((connection, permit));
        }
        match self.budget.give_back(permit.key, connection, permit.room, None) {
            Some((connection, room)) => return Some((connection, Permit { room, ..permit })),
            None if is_idle => {}
            None => runtime
                .iter()
                .for_each(|runtime| self.recycler.start(runtime, &self.budget, self.limits.longest)),
        }
        None
    }

    /// Closes the connections to those keys in those lanes: idle ones now, the others when they are returned.
    pub async fn close_all(&self, lanes: impl Fn(L) -> bool, keys: impl Fn(K) -> bool) {
        for (_, lane) in self.lanes().iter_mut().filter(|(lane, _)| lanes(**lane)) {
            lane.generation += 1;
        }
        for (connection, room) in self.budget.take_idle(keys) {
            end(connection, room).await;
        }
    }

    /// Closes all connections: idle ones now, the others when they are returned. Waits at most the acquire timeout.
    /// Later calls are refused.
    pub async fn close(&self) {
        for (connection, room) in self.budget.close() {
            end(connection, room).await;
        }
        if timeout_at(self.deadline(), self.budget.empty()).await.is_err() {
            tracing::warn!("connections are still in use: they are not closed");
        }
    }

    fn lane(&self, lane: L, width: usize) -> Lane {
        let mut lanes = self.lanes();
        if lanes.len() > 2 * self.limits.open + 64 {
            // The table must not grow with every tenant ever seen. A task in a lane, or waiting for it, also holds
            // the lane.
            lanes.retain(|_, lane| Arc::strong_count(&lane.turns) > 1);
        }
        let new =
            || Lane { turns: Arc::new(Semaphore::new(width)), generation: 0, cut_off: watch::Sender::new(0) };
        lanes.entry(lane).or_insert_with(new).clone()
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<L, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L, K: Key, C> Permit<L, K, C> {
    /// Returns the connection with its transaction open; the next unit rolls it back when it begins.
    pub fn leave_open(&mut self, open: bool) {
        self.room.left_open = open;
    }

    /// Whether the connection has an open transaction.
    pub fn take_left_open(&mut self) -> bool {
        std::mem::take(&mut self.room.left_open)
    }

    /// Marks the unit as cut off with an open outcome: until this is dropped, the next tasks of the lane wait.
    pub fn cut_off(&self) -> CutOff {
        self.cut_off.send_modify(|count| *count += 1);
        CutOff(self.cut_off.clone())
    }
}

/// See [`Permit::cut_off`].
pub(crate) struct CutOff(watch::Sender<usize>);

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Waits for a permit until the deadline, and records how long the wait took.
pub(crate) async fn waiting<T>(deadline: Instant, coming: impl Future<Output = T>) -> Result<T> {
    let since = monotonic();
    let came = timeout_at(deadline, coming).await;
    metrics::histogram!("db_pool_wait_seconds").record(since.elapsed().as_secs_f64());
    came.map_err(|_| {
        metrics::counter!("db_pool_timeouts_total").increment(1);
        Error::overloaded("the storage is busy", Duration::from_secs(1))
    })
}

/// A server that runs opens a connection in milliseconds; one that does not run may never answer.
pub(crate) async fn opening<C>(open: impl Future<Output = Result<C>>) -> Result<C> {
    timeout(OPENING, open).await.map_err(|_| Error::of(code::STORAGE_UNAVAILABLE))?
}

/// Closes a connection and passes its permit on; in a task when the connection is still busy.
async fn end<K: Key, C: Recycle>(connection: C, room: BudgetPermit<K, C>) {
    let is_idle = connection.is_idle();
    let closing = tokio::spawn(async move {
        close(connection).await;
        drop(room);
    });
    if is_idle && let Err(panic) = closing.await {
        tracing::error!(%panic, "closing a connection panicked");
    }
}

/// Closes a connection: its thread has then ended; the server process ends soon after.
pub(crate) async fn close<C: Connection>(connection: C) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection did not close cleanly");
    }
}

fn closed() -> Error {
    Error::of(code::STORAGE_CLOSED)
}
