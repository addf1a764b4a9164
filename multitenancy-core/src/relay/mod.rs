//! From the outbox to the bus: each event at least once, those of one aggregate in their order.

mod backoff;
mod drain;
mod run;

use std::{fmt, sync::Arc, time::Duration};

pub use self::drain::Drained;
use crate::{bus::EventBus, store::Store};

/// How events are relayed.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// How long a claimed event is ours; whoever does not finish in time loses it to the next. Default 30 s.
    pub lease: Duration,
    /// How long the bus may take for one event; less than `lease`, so that no event is delivered by two at once.
    /// Default 20 s.
    pub timeout: Duration,
    /// How many events are claimed, and delivered at once, of one plane. Default 64.
    pub batch: u32,
    /// How many planes are worked on at once, so that one with slow handlers does not hold up the others.
    /// Default 8.
    pub planes: usize,
    /// How often an event is tried before it is parked. Default 10.
    pub max_attempts: u32,
    /// How long to wait after the first failure; doubled at each further one, up to an hour, with up to a quarter
    /// of jitter. Default 5 s.
    pub backoff: Duration,
    /// How often all outboxes are looked through, for what no signal has told of. Default 600 s; also at the start.
    pub sweep: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
            batch: 64,
            planes: 8,
            max_attempts: 10,
            backoff: Duration::from_secs(5),
            sweep: Duration::from_secs(600),
        }
    }
}

/// Takes events from the outboxes of all planes and delivers them to the bus. Cheap to clone.
///
/// An event leaves its outbox only after the bus has dealt with it, so a crash in between delivers it again (S95).
#[derive(Clone)]
pub struct Relay {
    store: Arc<dyn Store>,
    bus: Arc<dyn EventBus>,
    config: RelayConfig,
}

impl Relay {
    /// A relay from the outboxes of `store` to `bus`.
    pub fn new(store: Arc<dyn Store>, bus: Arc<dyn EventBus>, config: RelayConfig) -> Self {
        Self { store, bus, config }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("config", &self.config).finish_non_exhaustive()
    }
}
