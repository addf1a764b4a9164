//! The other isolations, compared with shared tables and with no isolation.

use multitenancy::Isolation;
use multitenancy_benches::{Comparison, Effort};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use tokio::task::JoinSet;

use crate::{
    read::{Note, SCOPED, scoped},
    world::{TASKS, World},
};

pub async fn schema(effort: Effort) {
    // Enough connections for both sides, so that neither closes the other's.
    let world =
        World::with(effort, |builder| builder.max_connections(2 * TASKS).max_connections_per_tenant(TASKS))
            .await;
    let count = world.count(1000);
    let shared = world.tenants(count, Isolation::Shared).await;
    let schemas = world.tenants(count, Isolation::Schema).await;
    // Warms up: PostgreSQL reads each schema's catalogue once per connection.
    let mut warming = JoinSet::new();
    for _ in 0..TASKS {
        let (store, of) = (world.store.clone(), schemas.clone());
        warming.spawn(async move {
            for _ in 0..3 * count {
                scoped(store.clone(), of.clone()).await;
            }
        });
    }
    warming.join_all().await;
    let mut comparison = Comparison::new(world.effort, TASKS);
    for _ in 0..comparison.rounds() {
        for (name, tenants) in [("shared tables", &shared), ("a schema per tenant", &schemas)] {
            let (store, of) = (world.store.clone(), tenants.clone());
            comparison.measure(name, move |_| scoped(store.clone(), of.clone())).await;
        }
    }
    comparison.report("A scoped read of one of 1,000 tenants; wanted: 0.6, and a p99 of at most 3 times");
}

pub async fn database(effort: Effort) {
    // Enough connections for all tasks. `many` measures the case with too few.
    let world = World::with(effort, |builder| builder.max_connections(4 * TASKS)).await;
    let databases = world.tenants(world.count(8), Isolation::Database).await;
    let first = databases.all()[0].tenant().id;
    let options: PgConnectOptions = world.server.url().parse().unwrap();
    let options = options.database(&format!("tenant_{}", first.as_uuid().simple()));
    let pool = PgPoolOptions::new()
        .max_connections(TASKS as u32)
        .min_connections(TASKS as u32)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .unwrap();
    let mut comparison = Comparison::new(world.effort, TASKS);
    for _ in 0..comparison.rounds() {
        let plain = pool.clone();
        let read = move |_| {
            let pool = plain.clone();
            async move {
                let notes: Vec<Note> = sqlx::query_as(SCOPED).fetch_all(&pool).await.unwrap();
                assert_eq!(notes.len(), 20);
            }
        };
        comparison.measure("one plain database, sqlx's tuned pool", read).await;
        let (store, of) = (world.store.clone(), databases.clone());
        comparison
            .measure("a database per tenant, all warm", move |_| scoped(store.clone(), of.clone()))
            .await;
    }
    comparison.report("A read in a database of its own; wanted: 0.9");
}
