use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use multitenancy_core::{Clock, Timestamp};

use crate::fixtures;

/// A clock that stands still until it is told otherwise. Clones share their time.
#[derive(Debug, Clone)]
pub struct MockClock(Arc<Mutex<Timestamp>>);

impl MockClock {
    /// A clock that stands at `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    /// Puts the clock to `at`, which may be earlier than now.
    pub fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

/// Stands at [`fixtures::instant`].
impl Default for MockClock {
    fn default() -> Self {
        Self::new(fixtures::instant())
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
