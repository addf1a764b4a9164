use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{runtime::Handle, task::AbortHandle};

use crate::{
    environment::Timestamp,
    error::{Error, Result},
    organization,
    relay::Relay,
    store::Store,
};

/// How long the making of an organization never takes.
const STRAGGLING: Duration = Duration::from_secs(300);

/// The background work of one process: finishes what a crash has left, then relays events. Ends when dropped.
pub(super) struct Worker(AbortHandle);

impl Worker {
    pub fn spawn(store: Arc<dyn Store>, relay: Relay) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|_| {
            Error::config("compose the application inside a Tokio runtime, or without background work")
        })?;
        let started_at = store.environment().now();
        let task = runtime.spawn(async move {
            resume(&*store, started_at).await;
            tokio::join!(relay.run(), resume_stragglers(&*store));
        });
        Ok(Self(task.abort_handle()))
    }
}

async fn resume(store: &dyn Store, before: Timestamp) {
    if let Err(error) = organization::resume(store, before).await {
        tracing::error!(error = ?error, "unfinished organizations could not be finished");
    }
}

/// Finishes or undoes what this process itself could neither finish nor undo, as when the disk was full.
async fn resume_stragglers(store: &dyn Store) {
    loop {
        tokio::time::sleep(STRAGGLING).await;
        let age = TimeDelta::from_std(STRAGGLING).unwrap_or_default();
        resume(store, store.environment().now() - age).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}
