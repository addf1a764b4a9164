//! Connections to many places under one budget.
//!
//! An open connection costs a thread here (SQLite) or a process there (PostgreSQL), so the number of open ones is
//! bounded over all places, and the one idle longest makes room. Behind each gate stand those who share turns, such as
//! the writers of one file or everybody in one tenant: they are let through in order, and only so many at once, so that
//! a burst behind one gate leaves room for the others. A leased connection is never taken away.

mod room;
mod settling;

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

pub(crate) use self::settling::Rest;
use self::{
    room::{Found, Room, Rooms},
    settling::{Settling, settle},
};

/// For so long at most a connection is opened.
const OPENING: Duration = Duration::from_secs(5);

/// Bounds of [`Connections`].
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Open connections, over all places.
    pub open: usize,
    /// How long to wait for a turn and for room.
    pub wait: Duration,
    /// How old a connection may grow: an older one is closed when it comes back.
    pub lifetime: Option<Duration>,
    /// How long a statement can take: a connection that is busy with one for longer is given up.
    pub longest: Duration,
    /// Whether a unit that read may leave it to the next one to roll it back.
    pub defers: bool,
}

/// `G` tells gates apart, and `P` places: idle connections to the same place are alike.
pub(crate) struct Connections<G, P: Copy + Eq + Hash, C> {
    limits: Limits,
    gates: Mutex<HashMap<G, Gate>>,
    rooms: Rooms<P, C>,
    settling: Settling,
}

#[derive(Clone)]
struct Gate {
    turns: Arc<Semaphore>,
    /// Counts how often the connections behind the gate were closed: one that was on loan then is not kept when it comes
    /// back.
    closings: u64,
    /// How many units were cut off, with their outcome still open.
    cut_off: watch::Sender<usize>,
}

/// The right to one connection: a turn at its gate, and room in the budget.
pub(crate) struct Slot<G, P: Copy + Eq + Hash, C> {
    gate: G,
    place: P,
    /// Whether the connection was open before, so that it may have died unnoticed.
    pub reused: bool,
    closings: u64,
    cut_off: watch::Sender<usize>,
    room: Room<P, C>,
    _turn: OwnedSemaphorePermit,
}

impl<G, P, C> Connections<G, P, C>
where
    G: Copy + Eq + Hash,
    P: Copy + Eq + Hash,
    C: Rest,
    P: Send + 'static,
{
    pub fn new(limits: Limits) -> Self {
        Self {
            rooms: Rooms::new(limits.open),
            limits,
            gates: Mutex::default(),
            settling: Settling::default(),
        }
    }

    /// A connection to `place`, opened with `open` when none is idle. Waits for a turn at `gate`, which lets `width`
    /// through at once, and for room; in order, and until `deadline`.
    pub async fn acquire<F, O>(
        &self,
        (gate, width): (G, usize),
        place: P,
        deadline: Instant,
        open: F,
    ) -> Result<(C, Slot<G, P, C>)>
    where
        F: FnOnce() -> O,
        O: Future<Output = Result<C>>,
    {
        let Gate { turns, closings, cut_off } = self.gate(gate, width);
        let turn = match turns.clone().try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => waiting(deadline, turns.acquire_owned()).await?.map_err(Error::internal)?,
        };
        if *cut_off.borrow() > 0 {
            // So that who was cut off and tries again sees what came of it.
            let mut left = cut_off.subscribe();
            waiting(deadline, left.wait_for(|count| *count == 0)).await?.map_err(Error::internal)?;
        }
        let found = match self.rooms.ready(place) {
            Some(found) => Some(found),
            None => {
                settle(&self.rooms, self.limits.longest);
                waiting(deadline, self.rooms.find(place)).await?
            }
        };
        let slot = |reused, room| Slot { gate, place, reused, closings, cut_off, room, _turn: turn };
        match found.ok_or_else(closed)? {
            Found::Connection(connection, room) => Ok((connection, slot(true, room))),
            Found::Other(other, room) => {
                // It is closed before its room is given on, also when we give up: the bound holds at every instant.
                let closing = tokio::spawn(async move {
                    close(other).await;
                    room
                });
                let room = waiting(deadline, closing).await?.map_err(Error::internal)?;
                Ok((opening(open()).await?, slot(false, room.anew())))
            }
            Found::Room(room) => Ok((opening(open()).await?, slot(false, room.anew()))),
        }
    }

    /// Waits until nobody is past `gate`, and lets nobody through as long as it is held.
    #[cfg(feature = "sqlite")]
    pub async fn alone(&self, gate: G, width: usize) -> Result<OwnedSemaphorePermit> {
        let all = u32::try_from(width).map_err(Error::internal)?;
        let turns = self.gate(gate, width).turns.acquire_many_owned(all);
        let turns = waiting(self.deadline(), turns).await?;
        turns.map_err(Error::internal)
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Until when somebody waits who begins now.
    pub fn deadline(&self) -> Instant {
        monotonic() + self.limits.wait
    }

    /// Gives a clean connection back. Returned when somebody waits for its room, or when the connections behind its gate
    /// were closed meanwhile: to be closed, then dropped.
    pub fn release(&self, connection: C, slot: Slot<G, P, C>) -> Option<(C, Slot<G, P, C>)> {
        let closings = self.gates().get(&slot.gate).map(|gate| gate.closings);
        let outlived = self.limits.lifetime.is_some_and(|lifetime| slot.room.age() > lifetime);
        let at_rest = connection.at_rest() && !slot.room.left_open;
        let runtime = Handle::try_current();
        if closings != Some(slot.closings) || outlived || (!at_rest && runtime.is_err()) {
            return Some((connection, slot));
        }
        match self.rooms.give_back(slot.place, connection, slot.room, None) {
            Some((connection, room)) => return Some((connection, Slot { room, ..slot })),
            None if at_rest => {}
            None => runtime
                .iter()
                .for_each(|runtime| self.settling.start(runtime, &self.rooms, self.limits.longest)),
        }
        None
    }

    /// Closes the connections to those places behind those gates: the idle ones now, those on loan when they come back.
    pub async fn close_all(&self, gates: impl Fn(G) -> bool, places: impl Fn(P) -> bool) {
        for (_, gate) in self.gates().iter_mut().filter(|(gate, _)| gates(**gate)) {
            gate.closings += 1;
        }
        for (connection, room) in self.rooms.take_idle(places) {
            end(connection, room).await;
        }
    }

    /// Closes all connections for good: the idle ones now, the others as they come back, for as long as a turn is
    /// waited for. From then on nobody gets one.
    pub async fn close(&self) {
        for (connection, room) in self.rooms.close() {
            end(connection, room).await;
        }
        if timeout_at(self.deadline(), self.rooms.empty()).await.is_err() {
            tracing::warn!("connections are still in use: they are not closed");
        }
    }

    fn gate(&self, gate: G, width: usize) -> Gate {
        let mut gates = self.gates();
        if gates.len() > 2 * self.limits.open + 64 {
            // So that the table does not grow with every tenant ever seen. Whoever has a turn, or waits for one, holds
            // the gate too.
            gates.retain(|_, gate| Arc::strong_count(&gate.turns) > 1);
        }
        let new =
            || Gate { turns: Arc::new(Semaphore::new(width)), closings: 0, cut_off: watch::Sender::new(0) };
        gates.entry(gate).or_insert_with(new).clone()
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<G, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G, P: Copy + Eq + Hash, C> Slot<G, P, C> {
    /// The connection goes back with its transaction open, for the next one to roll back as it begins.
    pub fn leave_open(&mut self, open: bool) {
        self.room.left_open = open;
    }

    /// Whether it came with a transaction open.
    pub fn take_left_open(&mut self) -> bool {
        std::mem::take(&mut self.room.left_open)
    }

    /// The unit was cut off, and its outcome is open: until this is dropped, the next ones behind the gate wait for it.
    pub fn cut_off(&self) -> CutOff {
        self.cut_off.send_modify(|count| *count += 1);
        CutOff(self.cut_off.clone())
    }
}

/// See [`Slot::cut_off`].
pub(crate) struct CutOff(watch::Sender<usize>);

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Waits for a turn or for room, up to the deadline, and tells for how long.
async fn waiting<T>(deadline: Instant, coming: impl Future<Output = T>) -> Result<T> {
    let since = monotonic();
    let came = timeout_at(deadline, coming).await;
    metrics::histogram!("db_pool_wait_seconds").record(since.elapsed().as_secs_f64());
    came.map_err(|_| {
        metrics::counter!("db_pool_timeouts_total").increment(1);
        Error::overloaded("the storage is busy", Duration::from_secs(1))
    })
}

/// A server that is there opens a connection in milliseconds, and one that is not may say nothing at all.
pub(crate) async fn opening<C>(open: impl Future<Output = Result<C>>) -> Result<C> {
    timeout(OPENING, open).await.map_err(|_| Error::of(code::STORAGE_UNAVAILABLE))?
}

/// Closes a connection and gives its room on; in a task when it is still busy.
async fn end<P: Copy + Eq + Hash + Send + 'static, C: Rest>(connection: C, room: Room<P, C>) {
    let at_rest = connection.at_rest();
    let closing = tokio::spawn(async move {
        close(connection).await;
        drop(room);
    });
    if at_rest && let Err(panic) = closing.await {
        tracing::error!(%panic, "closing a connection panicked");
    }
}

/// Closes a connection: its thread has ended then, and its process ends in a moment.
pub(crate) async fn close<C: Connection>(connection: C) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection did not close cleanly");
    }
}

fn closed() -> Error {
    Error::of(code::STORAGE_CLOSED)
}
