//! Connections to many files under one budget.
//!
//! Each open connection is a thread, so the number of open ones is bounded over all files, and the one idle
//! longest makes room. A file has one writer, whose turns are given in order, and a few readers. A leased
//! connection is never taken away.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use multitenancy_core::{Error, Plane, Result};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::error::store_error;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

/// Bounds of [`Connections`].
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Open connections, over all files.
    pub open: usize,
    /// Readers of one file.
    pub readers: usize,
    /// How long to wait for a turn.
    pub wait: Duration,
}

pub(super) struct Connections {
    limits: Limits,
    budget: Arc<Semaphore>,
    /// How many wait for room; as long as somebody does, nothing is kept idle.
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gates: HashMap<Plane, Gates>,
    /// Idle connections, the one idle longest first.
    idle: VecDeque<Idle>,
}

/// Whose turn it is on one file.
struct Gates {
    writer: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

impl Gates {
    fn in_use(&self) -> bool {
        // Whoever has a turn, or waits for one, holds the semaphore too.
        Arc::strong_count(&self.writer) > 1 || Arc::strong_count(&self.readers) > 1
    }
}

struct Idle {
    plane: Plane,
    access: Access,
    connection: SqliteConnection,
    room: OwnedSemaphorePermit,
}

/// The right to one connection of one file: a turn there, and room in the budget.
pub(super) struct Slot {
    pub plane: Plane,
    pub access: Access,
    room: Option<OwnedSemaphorePermit>,
    _turn: OwnedSemaphorePermit,
}

impl Connections {
    pub fn new(limits: Limits) -> Self {
        Self {
            budget: Arc::new(Semaphore::new(limits.open)),
            limits,
            waiting: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// A connection to the file of `plane`, opened with `open` when none is idle. Waits for a turn and for room, in
    /// order, each within the bound.
    pub async fn acquire<F, O>(
        &self,
        plane: Plane,
        access: Access,
        open: F,
    ) -> Result<(SqliteConnection, Slot)>
    where
        F: FnOnce() -> O,
        O: Future<Output = Result<SqliteConnection>>,
    {
        let deadline = Instant::now() + self.limits.wait;
        let gate = {
            let mut state = self.state();
            if state.gates.len() > 2 * self.limits.open + 64 {
                // So that the table does not grow with every tenant ever seen.
                state.gates.retain(|_, gates| gates.in_use());
            }
            let gates = state.gates.entry(plane).or_insert_with(|| Gates {
                writer: Arc::new(Semaphore::new(1)),
                readers: Arc::new(Semaphore::new(self.limits.readers)),
            });
            match access {
                Access::Write => gates.writer.clone(),
                Access::Read => gates.readers.clone(),
            }
        };
        let turn = timeout_at(deadline, gate.acquire_owned()).await.map_err(|_| busy())?;
        let turn = turn.map_err(Error::internal)?;
        let mut slot = Slot { plane, access, room: None, _turn: turn };
        if let Some(idle) = self.take_idle(plane, access) {
            slot.room = Some(idle.room);
            return Ok((idle.connection, slot));
        }
        slot.room = Some(timeout_at(deadline, self.make_room()).await.map_err(|_| busy())??);
        let connection = open().await?;
        Ok((connection, slot))
    }

    /// Gives a clean connection back. Returned when somebody waits for its room: to be closed, then dropped.
    pub fn release(&self, connection: SqliteConnection, mut slot: Slot) -> Option<(SqliteConnection, Slot)> {
        let mut state = self.state();
        if self.waiting.load(Ordering::SeqCst) == 0
            && let Some(room) = slot.room.take()
        {
            state.idle.push_back(Idle { plane: slot.plane, access: slot.access, connection, room });
            return None;
        }
        Some((connection, slot))
    }

    /// Closes the idle connections to a file. Whoever leases one keeps it.
    pub async fn close_idle(&self, plane: Plane) {
        let closing = {
            let mut state = self.state();
            let (closing, kept): (VecDeque<_>, _) =
                state.idle.drain(..).partition(|idle| idle.plane == plane);
            state.idle = kept;
            closing
        };
        for idle in closing {
            let Idle { connection, room, .. } = idle;
            close(connection).await;
            drop(room);
        }
    }

    fn take_idle(&self, plane: Plane, access: Access) -> Option<Idle> {
        let mut state = self.state();
        let index = state.idle.iter().rposition(|idle| idle.plane == plane && idle.access == access)?;
        state.idle.remove(index)
    }

    /// Room for one more open connection, made by closing the one idle longest when there is none.
    async fn make_room(&self) -> Result<OwnedSemaphorePermit> {
        let _waiting = Waiting::register(&self.waiting);
        if let Ok(room) = self.budget.clone().try_acquire_owned() {
            return Ok(room);
        }
        let longest_idle = self.state().idle.pop_front();
        if let Some(Idle { connection, room, .. }) = longest_idle {
            // Its thread ends before its room is given on: the bound holds at every instant.
            close(connection).await;
            drop(room);
        }
        self.budget.clone().acquire_owned().await.map_err(Error::internal)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts somebody who waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn register(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Opens a connection.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection> {
    options.connect().await.map_err(store_error)
}

/// Closes a connection and waits until its thread is done with it.
pub(super) async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection did not close cleanly");
    }
}

fn busy() -> Error {
    Error::overloaded("the storage is busy", Duration::from_secs(1))
}
