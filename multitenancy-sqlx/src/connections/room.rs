//! The budget: so many connections may be open, and whoever gives one back hands it to who waits.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use multitenancy_core::environment::monotonic;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout},
};

use super::Rest;

/// Who waits for the same place is served first, for that is cheap, but for this long only: then it is the turn of who
/// has waited longest, whatever for.
const PATIENCE: Duration = Duration::from_millis(50);

/// For so long a connection to the same place is waited for before one to another place is closed for it: a unit of work
/// takes less, and opening a connection takes more than most.
const GRACE: Duration = Duration::from_millis(10);

pub(super) struct Rooms<P: Copy + Eq + Hash, C>(Arc<Shared<P, C>>);

impl<P: Copy + Eq + Hash, C> Clone for Rooms<P, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<P: Copy + Eq + Hash, C> {
    limit: usize,
    state: Mutex<State<P, C>>,
    emptied: Notify,
}

struct State<P: Copy + Eq + Hash, C> {
    /// Rooms that are taken.
    open: usize,
    closed: bool,
    /// Counts how often idle connections were taken out to be closed.
    closings: u64,
    /// Idle connections, the one idle longest first.
    idle: VecDeque<Idle<P, C>>,
    /// Who waits, in order. As long as somebody waits for any room, nothing is kept idle.
    waiting: VecDeque<Waiting<P, C>>,
    /// How many connections to a place are on loan.
    lent: HashMap<P, usize>,
}

struct Idle<P: Copy + Eq + Hash, C> {
    place: P,
    since: Instant,
    connection: C,
    room: Room<P, C>,
}

/// A connection that was given back and is still at work on what was left behind on it.
pub(super) struct Busy<P: Copy + Eq + Hash, C> {
    pub place: P,
    pub connection: C,
    pub room: Room<P, C>,
    pub closings: u64,
}

struct Waiting<P: Copy + Eq + Hash, C> {
    place: P,
    /// For any room, and not just for a connection to this place.
    any: bool,
    since: Instant,
    sender: oneshot::Sender<Found<P, C>>,
}

/// Room for one open connection, given on when dropped.
pub(super) struct Room<P: Copy + Eq + Hash, C> {
    /// Weak, for idle rooms are part of what it points to: they are closed with it.
    shared: Weak<Shared<P, C>>,
    /// Where it is on loan to.
    lent: Option<P>,
    /// When the connection in it was opened.
    since: Instant,
    /// Whether the connection in it is in a transaction that is to be rolled back.
    pub left_open: bool,
}

/// What there is for somebody who wants a connection.
pub(super) enum Found<P: Copy + Eq + Hash, C> {
    /// An open one to the place.
    Connection(C, Room<P, C>),
    /// One to another place, to be closed.
    Other(C, Room<P, C>),
    /// Room to open one.
    Room(Room<P, C>),
}

/// What there is at once, or else what will come.
type Sought<P, C> = Result<Found<P, C>, oneshot::Receiver<Found<P, C>>>;

impl<P: Copy + Eq + Hash, C: Rest> Rooms<P, C> {
    pub fn new(limit: usize) -> Self {
        let state = State {
            open: 0,
            closed: false,
            closings: 0,
            idle: VecDeque::new(),
            waiting: VecDeque::new(),
            lent: HashMap::new(),
        };
        Self(Arc::new(Shared { limit, state: Mutex::new(state), emptied: Notify::new() }))
    }

    /// An idle connection to `place` that is at rest, or will be in a moment.
    pub fn ready(&self, place: P) -> Option<Found<P, C>> {
        let mut state = self.0.state();
        // The latest first: what it is told next, it does in one go with what it is still finishing.
        let at_hand = |idle: &Idle<P, C>| {
            idle.place == place && (idle.connection.at_rest() || idle.since.elapsed() < C::MOMENT)
        };
        let index = state.idle.iter().rposition(at_hand)?;
        let idle = state.idle.remove(index)?;
        Some(Found::Connection(idle.connection, state.lend(idle.room, place)))
    }

    /// Whether an idle connection may be busy still.
    pub fn are_busy(&self) -> bool {
        self.0.state().idle.iter().any(|idle| !idle.at_rest())
    }

    /// Takes out the idle connections that are busy still.
    pub fn take_busy(&self) -> Vec<Busy<P, C>> {
        let mut state = self.0.state();
        let closings = state.closings;
        let (busy, idle): (VecDeque<_>, _) =
            state.idle.drain(..).partition(|idle| !idle.at_rest() && idle.since.elapsed() >= C::MOMENT);
        state.idle = idle;
        let busy = busy.into_iter();
        busy.map(|Idle { place, connection, room, .. }| Busy { place, connection, room, closings }).collect()
    }

    /// A connection to `place`, or room for one; waits in order when there is neither. `None` once closed.
    pub async fn find(&self, place: P) -> Option<Found<P, C>> {
        let soon = match self.seek(place, false)? {
            Ok(found) => return Some(found),
            Err(waiting) => waiting,
        };
        if let Ok(found) = timeout(GRACE, soon).await {
            return found.ok();
        }
        match self.seek(place, true)? {
            Ok(found) => Some(found),
            Err(waiting) => waiting.await.ok(),
        }
    }

    /// What there is without waiting, or else what to wait for. Any room is taken, another place's too, when `any` says so or
    /// when no connection to `place` can come back. `None` once closed.
    fn seek(&self, place: P, any: bool) -> Option<Sought<P, C>> {
        let mut state = self.0.state();
        if state.closed {
            return None;
        }
        if let Some(index) = state.idle.iter().rposition(|idle| idle.place == place) {
            let idle = state.idle.remove(index)?;
            return Some(Ok(Found::Connection(idle.connection, state.lend(idle.room, place))));
        }
        if state.open < self.0.limit {
            state.open += 1;
            return Some(Ok(Found::Room(state.lend(Room::new(&self.0), place))));
        }
        let any = any || !state.lent.contains_key(&place);
        if any && let Some(idle) = state.spare() {
            return Some(Ok(Found::Other(idle.connection, state.lend(idle.room, place))));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.retain(|waiting| !waiting.sender.is_closed());
        state.waiting.push_back(Waiting { place, any, since: monotonic(), sender });
        Some(Err(receiver))
    }

    /// Hands a connection to who waits for that place, or keeps it idle. Given back, to be closed, when somebody waits for
    /// any room, or when connections were closed: all of them for good, or idle ones since `closings` were counted.
    pub fn give_back(
        &self,
        place: P,
        connection: C,
        room: Room<P, C>,
        closings: Option<u64>,
    ) -> Option<(C, Room<P, C>)> {
        let mut state = self.0.state();
        if state.closed || closings.is_some_and(|closings| closings != state.closings) {
            return Some((connection, room));
        }
        let (mut connection, mut room) = (connection, state.lend(room, place));
        while let Some(index) = state.next(place) {
            let Some(waiting) = state.waiting.remove(index) else { break };
            match waiting.sender.send(Found::Connection(connection, room)) {
                Err(Found::Connection(back, its)) => (connection, room) = (back, its),
                _ => return None,
            }
        }
        state.returned(&mut room);
        if state.waiting.iter().any(|waiting| waiting.any && !waiting.sender.is_closed()) {
            return Some((connection, room));
        }
        state.idle.push_back(Idle { place, since: monotonic(), connection, room });
        None
    }

    /// Takes the idle connections to those places out.
    pub fn take_idle(&self, places: impl Fn(P) -> bool) -> Vec<(C, Room<P, C>)> {
        let mut state = self.0.state();
        state.closings += 1;
        let (taken, kept): (VecDeque<_>, _) = state.idle.drain(..).partition(|idle| places(idle.place));
        state.idle = kept;
        taken.into_iter().map(|idle| (idle.connection, idle.room)).collect()
    }

    /// From now on nobody finds anything. Gives the idle connections out, to be closed.
    pub fn close(&self) -> Vec<(C, Room<P, C>)> {
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

impl<P: Copy + Eq + Hash, C: Rest> Idle<P, C> {
    fn at_rest(&self) -> bool {
        self.connection.at_rest() && !self.room.left_open
    }
}

impl<P: Copy + Eq + Hash, C> State<P, C> {
    /// Notes where a room goes.
    fn lend(&mut self, mut room: Room<P, C>, place: P) -> Room<P, C> {
        self.returned(&mut room);
        *self.lent.entry(place).or_default() += 1;
        room.lent = Some(place);
        room
    }

    /// The idle connection to close for another: the one idle longest, of a place that has more if there is one. Its last
    /// would soon be opened again.
    fn spare(&mut self) -> Option<Idle<P, C>> {
        let has_more = |idle: &Idle<P, C>| {
            let same = self.idle.iter().filter(|other| other.place == idle.place);
            self.lent.contains_key(&idle.place) || same.count() > 1
        };
        let index = self.idle.iter().position(has_more).unwrap_or_default();
        self.idle.remove(index)
    }

    /// Notes that a room is on loan no longer.
    fn returned(&mut self, room: &mut Room<P, C>) {
        let Some(place) = room.lent.take() else { return };
        if let Some(count) = self.lent.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.lent.remove(&place);
            }
        }
    }

    /// Who gets a connection to `place`: who has waited for it longest, unless somebody else has waited too long.
    fn next(&self, place: P) -> Option<usize> {
        let first = self.waiting.front()?;
        if first.place != place && first.since.elapsed() > PATIENCE {
            return None;
        }
        self.waiting.iter().position(|waiting| waiting.place == place)
    }
}

impl<P: Copy + Eq + Hash, C> Shared<P, C> {
    fn state(&self) -> MutexGuard<'_, State<P, C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Copy + Eq + Hash, C> Room<P, C> {
    fn new(shared: &Arc<Shared<P, C>>) -> Self {
        Self { shared: Arc::downgrade(shared), lent: None, since: monotonic(), left_open: false }
    }

    /// For a connection that is opened now.
    pub fn anew(mut self) -> Self {
        self.since = monotonic();
        self.left_open = false;
        self
    }

    /// How long the connection in it has been open.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

impl<P: Copy + Eq + Hash, C> Drop for Room<P, C> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut state = shared.state();
        state.returned(self);
        while let Some(waiting) = state.waiting.pop_front() {
            let room = state.lend(Room::new(&shared), waiting.place);
            match waiting.sender.send(Found::Room(room)) {
                // Has given up waiting: the room is still ours to give.
                Err(Found::Room(mut room)) => {
                    state.returned(&mut room);
                    room.shared = Weak::new();
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
