//! What other processes have changed, as PostgreSQL tells it: a hint that makes a suspension fast everywhere. What makes
//! it certain is that caches end by their age, and that nothing commits past a fence.

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

/// Carries a tenant's id and the name of who has changed it, and nothing else: whoever has a login can listen (E7).
const CHANNEL: &str = "multitenancy_tenants";

/// The query that tells the others, when the transaction it is part of is committed. One, however many: a SELECT has no room
/// for more than 1,664 columns.
pub(super) fn notify(changed: &[TenantId]) -> String {
    let changed: Vec<_> = changed.iter().map(TenantId::to_string).collect();
    format!(
        "SELECT count(pg_notify('{CHANNEL}', id || ' ' || current_setting('application_name'))) FROM unnest('{{{}}}'::text[]) AS id",
        changed.join(",")
    )
}

/// After so long a silence it is asked whether the server is still there.
const SILENCE: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);

/// Listens, on a connection of its own, until dropped.
pub(super) struct Listening(AbortHandle);

impl Listening {
    /// What connections of the name `own` have changed is known already.
    pub fn start(options: PgConnectOptions, own: String, signals: Arc<Signals>) -> Self {
        Self(tokio::spawn(listen(options, own, signals)).abort_handle())
    }
}

impl Listening {
    /// Ends it, with its connection.
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

/// Tells what it hears, until the connection fails.
async fn follow(options: PgConnectOptions, own: &str, signals: &Signals) -> sqlx::Result<Infallible> {
    let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
    let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options)).await?;
    // A connection that was lost is an error: what was said meanwhile, nobody has heard.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    signals.tenants_changed();
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(told) => match told? {
                Some(told) => match told.payload().split_once(' ') {
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
