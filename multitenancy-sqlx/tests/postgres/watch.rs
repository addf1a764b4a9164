//! The server's view of a store's connections.

use std::time::Duration;

use multitenancy_core::{ControlContext, environment::monotonic};
use multitenancy_sqlx::PgStore;
use sqlx::{Connection, PgConnection};

use crate::{
    server::server_url,
    stage::{run, value},
};

/// Polls until the condition holds, for at most `bound`.
pub async fn eventually(what: &str, bound: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let since = monotonic();
    while !holds().await {
        assert!(since.elapsed() < bound, "{what}: not within {bound:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lists one store's backends, in any database.
pub struct Watch {
    connection: PgConnection,
    name: String,
}

impl Watch {
    pub async fn of(store: &PgStore) -> Self {
        let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
        let name = value(unit.conn(), "SELECT current_setting('application_name')").await.unwrap();
        Self { connection: PgConnection::connect(&server_url()).await.unwrap(), name }
    }

    /// How many backends of this store's pool are so.
    pub async fn count(&mut self, so: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND {so}",
            self.name
        );
        value(&mut self.connection, sql).await.unwrap()
    }

    /// Ends the connection on which the store listens, and waits until it has ended.
    pub async fn end_listener(&mut self) {
        let listener = format!("application_name = '{} listener'", self.name);
        let end = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {listener}");
        assert_eq!(run(&mut self.connection, end).await.unwrap(), 1, "one connection listens");
    }

    /// Whether the store listens.
    pub async fn listens(&mut self) -> bool {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query LIKE 'LISTEN%' AND application_name =";
        value::<i64>(&mut self.connection, format!("{sql} '{} listener'", self.name)).await.unwrap() == 1
    }

    /// How many connections of any kind the store has.
    pub async fn all(&mut self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name,";
        value(&mut self.connection, format!("{sql} '{}')", self.name)).await.unwrap()
    }
}
