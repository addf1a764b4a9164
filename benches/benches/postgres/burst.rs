//! The cost of one tenant's burst for another tenant.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use multitenancy::Isolation;
use multitenancy_benches::Comparison;
use tokio::task::JoinSet;

use crate::{
    read::{Note, SCOPED},
    world::{TASKS, World},
};

/// The budget of connections. One tenant can use half of it.
const BUDGET: usize = TASKS;

pub async fn burst(world: &World) {
    let world = World::with(world.effort, |builder| builder.max_connections(BUDGET)).await;
    let tenants = world.tenants(2, Isolation::Shared).await;
    let (busy, quiet) = (tenants.all()[0].clone(), tenants.all()[1].clone());
    let mut comparison = Comparison::new(world.effort, 1);
    for _ in 0..comparison.rounds() {
        for (name, tasks) in [("alone", 0), ("beside a burst of ten times the budget", 10 * BUDGET)] {
            let over = Arc::new(AtomicBool::new(false));
            let mut burst = JoinSet::new();
            for _ in 0..tasks {
                let (store, busy, over) = (world.store.clone(), busy.clone(), over.clone());
                burst.spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        // A refused read has waited too, so it counts as load.
                        let Ok(mut tx) = store.read(&busy).await else { continue };
                        let slow = sqlx::query("SELECT pg_sleep(0.02)").execute(tx.conn());
                        slow.await.unwrap();
                    }
                });
            }
            let (store, quiet) = (world.store.clone(), quiet.clone());
            let read = move |_| {
                let (store, quiet) = (store.clone(), quiet.clone());
                async move {
                    let mut tx = store.read(&quiet).await.unwrap();
                    let notes: Vec<Note> = sqlx::query_as(SCOPED).fetch_all(tx.conn()).await.unwrap();
                    assert_eq!(notes.len(), 20);
                }
            };
            comparison.measure(name, read).await;
            over.store(true, Ordering::Relaxed);
            burst.join_all().await;
        }
    }
    comparison.report("A quiet tenant's reads, one after the other; wanted: a p99 of at most 1.5 times");
}
