use std::sync::Arc;

use tokio::{runtime::Handle, task::AbortHandle};

use crate::{
    error::{Error, Result},
    organization,
    relay::Relay,
    store::Store,
};

/// The background work of one process: finishes what a crash has left, then relays events. Ends when dropped.
pub(super) struct Worker(AbortHandle);

impl Worker {
    pub fn spawn(store: Arc<dyn Store>, relay: Relay) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|_| {
            Error::config("compose the application inside a Tokio runtime, or without background work")
        })?;
        let started_at = store.environment().now();
        let task = runtime.spawn(async move {
            if let Err(error) = organization::resume(&*store, started_at).await {
                tracing::error!(error = ?error, "unfinished organizations could not be finished");
            }
            relay.run().await;
        });
        Ok(Self(task.abort_handle()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}
