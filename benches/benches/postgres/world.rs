use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use multitenancy::{
    Isolation, TenantContext,
    sqlx::{PgStore, PgStoreBuilder},
};
use multitenancy_benches::Effort;
use multitenancy_testkit::{fixtures, postgres::PostgresServer};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

/// Concurrent tasks, and connections of each side.
pub const TASKS: usize = 16;
/// Notes per tenant.
const NOTES: usize = 100;

/// A server, a store on it, and the tenants.
pub struct World {
    pub effort: Effort,
    pub store: PgStore,
    pub server: PostgresServer,
    made: Mutex<HashMap<Isolation, Tenants>>,
}

/// Tenants in turn, repeatedly.
#[derive(Clone)]
pub struct Tenants(Arc<(Vec<TenantContext>, AtomicUsize)>);

impl World {
    pub async fn start(effort: Effort) -> Self {
        Self::with(effort, |builder| builder.max_connections(TASKS).max_connections_per_tenant(TASKS)).await
    }

    pub async fn with(effort: Effort, limit: impl FnOnce(PgStoreBuilder) -> PgStoreBuilder) -> Self {
        let server = PostgresServer::start(&["shared_buffers = 512MB", "max_connections = 100"]).unwrap();
        let builder = PgStore::builder(&server.url())
            .tenant_migrations(sqlx::migrate!("./migrations/postgres"))
            .allow_privileged_url(true);
        let store = limit(builder).connect().await.unwrap();
        Self { effort, store, server, made: Mutex::default() }
    }

    /// `count` tenants, or a few in a smoke run.
    pub fn count(&self, count: usize) -> usize {
        if self.effort.measures { count } else { 4 }
    }

    /// The tenants with their notes. The first call creates `count` of them.
    pub async fn tenants(&self, count: usize, isolation: Isolation) -> Tenants {
        if let Some(made) = self.made.lock().unwrap().get(&isolation) {
            return made.clone();
        }
        let mut contexts = Vec::new();
        for number in 0..count {
            let tenant =
                fixtures::provisioned_in(&self.store, &format!("{isolation}-{number}"), isolation).await;
            let context = fixtures::context(&tenant);
            let mut tx = self.store.begin(&context).await.unwrap();
            let insert = "INSERT INTO notes (text) SELECT 'note ' || n FROM generate_series(1, $1) AS n";
            sqlx::query(insert).bind(NOTES as i32).execute(tx.conn()).await.unwrap();
            tx.commit().await.unwrap();
            contexts.push(context);
        }
        self.execute("VACUUM ANALYZE").await;
        let tenants = Tenants(Arc::new((contexts, AtomicUsize::new(0))));
        self.made.lock().unwrap().insert(isolation, tenants.clone());
        tenants
    }

    pub async fn execute(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.server.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }

    /// sqlx's pool with its defaults.
    pub async fn default_pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(TASKS as u32).connect(&self.server.url()).await.unwrap()
    }

    /// sqlx's pool without ping and timers, with all connections open.
    pub async fn tuned_pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(TASKS as u32)
            .min_connections(TASKS as u32)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect(&self.server.url())
            .await
            .unwrap()
    }
}

impl Tenants {
    pub fn all(&self) -> &[TenantContext] {
        &self.0.0
    }

    pub fn next(&self) -> TenantContext {
        let (contexts, next) = &*self.0;
        // A step that has no divisor in common with any count here: uniform, and no two in a row alike.
        contexts[next.fetch_add(7919, Ordering::Relaxed) % contexts.len()].clone()
    }

    pub fn next_id(&self) -> Uuid {
        self.next().tenant().id.as_uuid()
    }
}
