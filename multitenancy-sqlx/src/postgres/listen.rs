//! Listens for changes by other processes. A notification is a hint that makes a suspension fast everywhere.
//! Correctness does not need it: cache entries expire, and no COMMIT passes a fence.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use multitenancy_core::{TenantId, store::Signals};
use sqlx::{
    Executor,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};

/// The channel. It carries a tenant's id and the name of the connection that changed it, and nothing else: any login
/// can listen (E7).
const CHANNEL: &str = "multitenancy_tenants";

/// The query that notifies the other processes when its transaction commits. It is one query for any number of
/// tenants: a SELECT is limited to 1,664 columns.
pub(super) fn notify(changed: &[TenantId]) -> String {
    let changed: Vec<_> = changed.iter().map(TenantId::to_string).collect();
    format!(
        "SELECT count(pg_notify('{CHANNEL}', id || ' ' || current_setting('application_name'))) FROM unnest('{{{}}}'::text[]) AS id",
        changed.join(",")
    )
}

/// After this silence the listener checks that the server still answers.
const SILENCE: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

/// Listens on its own connection until dropped.
pub(super) struct Listening(AbortHandle);

impl Listening {
    /// Ignores changes by connections named `own`: this process knows them already.
    pub fn start(options: PgConnectOptions, own: String, signals: Arc<Signals>) -> Self {
        Self(tokio::spawn(listen(options, own, signals)).abort_handle())
    }
}

impl Listening {
    /// Stops the listener and closes its connection.
    pub fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen(options: PgConnectOptions, own: String, signals: Arc<Signals>) {
    loop {
        let Err(error) = follow(options.clone(), &own, &signals).await;
        tracing::warn!(error = %error, "nothing is heard of what other processes change: trying again");
        sleep(RETRY).await;
    }
}

/// Publishes the received notifications until the connection fails.
async fn follow(options: PgConnectOptions, own: &str, signals: &Signals) -> sqlx::Result<Infallible> {
    let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
    let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options)).await?;
    // A lost connection is an error: notifications in the gap were missed.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    signals.tenants_changed();
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(received) => match received? {
                Some(notification) => match notification.payload().split_once(' ') {
                    Some((_, by)) if by == own => {}
                    Some((tenant, _)) if let Ok(tenant) = tenant.parse() => signals.tenant_changed(tenant),
                    _ => signals.tenants_changed(),
                },
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            },
            Err(_) => {
                let asked = timeout(ANSWER, listener.execute("SELECT 1")).await;
                asked.map_err(|_| sqlx::Error::PoolTimedOut)??;
            }
        }
    }
}
