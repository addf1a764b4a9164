//! Bringing idle connections to rest: those that a unit has left with something to be taken back.

use std::{
    hash::Hash,
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
    close,
    room::{Busy, Rooms},
};

/// A connection that may be given back before it is at rest.
pub(crate) trait Rest: Connection + 'static {
    /// After so long a connection that nobody has wanted is brought to rest by itself.
    const MOMENT: Duration;

    /// Whether nothing is under way on it, as far as can be told without waiting.
    fn at_rest(&self) -> bool;

    /// Rolls back what a unit that read has left, and waits until nothing is under way. `false` when the connection can
    /// not be used again.
    fn settle(&mut self) -> impl Future<Output = bool> + Send;
}

/// Sees to it that what comes back busy is at rest in a moment, also when nobody wants it: at most one task does.
#[derive(Default)]
pub(super) struct Settling(Arc<AtomicBool>);

impl Settling {
    /// Starts the task, unless it runs.
    pub fn start<P, C>(&self, runtime: &Handle, rooms: &Rooms<P, C>, patience: Duration)
    where
        P: Copy + Eq + Hash + Send + 'static,
        C: Rest,
    {
        let running = self.0.clone();
        if running.swap(true, Ordering::AcqRel) {
            return;
        }
        let (rooms, ended) = (rooms.clone(), Ended(Some(running.clone())));
        runtime.spawn(async move {
            loop {
                sleep(C::MOMENT).await;
                settle(&rooms, patience);
                running.store(false, Ordering::Release);
                // What came back in between has seen that it is seen to.
                if !rooms.are_busy() || running.swap(true, Ordering::AcqRel) {
                    return ended.over();
                }
            }
        });
    }
}

/// Waits, in tasks, for the connections that came back and are still busy with what was left behind on them; for so long.
pub(super) fn settle<P: Copy + Eq + Hash + Send + 'static, C: Rest>(rooms: &Rooms<P, C>, patience: Duration) {
    for busy in rooms.take_busy() {
        let rooms = rooms.clone();
        tokio::spawn(async move {
            let Busy { place, mut connection, mut room, closings } = busy;
            let settled = timeout(patience, connection.settle()).await;
            room.left_open = false;
            let unwanted = match settled {
                Ok(true) => rooms.give_back(place, connection, room, Some(closings)),
                Ok(false) => Some((connection, room)),
                // Its socket is closed as it is dropped: whoever does not answer does not hear a farewell either.
                Err(_) => None,
            };
            if let Some((connection, room)) = unwanted {
                close(connection).await;
                drop(room);
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
