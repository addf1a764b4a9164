//! The use cases of organizations: create one completely or not at all, read your own, suspend, activate, cancel.

mod create;
mod lifecycle;
mod provision;
mod read;

pub use self::create::NewOrganization;
pub(crate) use self::provision::resume;

use std::{fmt, sync::Arc};

use tokio::sync::Semaphore;

use crate::{access::Access, environment::Timestamp};

/// How many organizations are made at once; others wait. Each takes turns on the registry with all other writers.
const CREATIONS: usize = 8;

/// The use cases of organizations. Cheap to clone.
#[derive(Clone)]
pub struct Organizations {
    access: Access,
    /// Bounds how many organizations are made at once.
    creations: Arc<Semaphore>,
    started_at: Timestamp,
}

impl Organizations {
    /// Organizations in the store of `access`.
    pub fn new(access: Access) -> Self {
        let started_at = access.environment().now();
        Self { access, creations: Arc::new(Semaphore::new(CREATIONS)), started_at }
    }
}

impl fmt::Debug for Organizations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Organizations").finish_non_exhaustive()
    }
}
