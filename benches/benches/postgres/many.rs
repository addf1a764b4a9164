//! Many databases on few connections.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use multitenancy::{Isolation, TenantId};
use multitenancy_benches::{Comparison, Effort};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    read::{Note, SCOPED},
    world::{TASKS, Tenants, World},
};

/// The budget of connections. The server allows 100.
const BUDGET: usize = 60;
/// Connections per pool of the plain way.
const POOL: usize = 2;

/// The plain way: a pool per database, and the least recently used pool closes for a new one.
struct Pools {
    options: PgConnectOptions,
    open: Mutex<VecDeque<(TenantId, PgPool)>>,
}

impl Pools {
    fn of(&self, tenant: TenantId) -> PgPool {
        let mut open = self.open.lock().unwrap();
        let found = open.iter().position(|(of, _)| *of == tenant);
        let pool = match found.and_then(|index| open.remove(index)) {
            Some((_, pool)) => pool,
            None => {
                if open.len() == BUDGET / POOL {
                    let oldest = open.pop_front();
                    tokio::spawn(async move {
                        if let Some((_, pool)) = oldest {
                            pool.close().await;
                        }
                    });
                }
                let database = format!("tenant_{}", tenant.as_uuid().simple());
                let pool = PgPoolOptions::new().max_connections(POOL as u32).test_before_acquire(false);
                pool.connect_lazy_with(self.options.clone().database(&database))
            }
        };
        open.push_back((tenant, pool.clone()));
        pool
    }
}

/// Picks tenants by Zipf's law: the second half as often as the first, the third a third as often, and so on.
#[derive(Clone)]
struct Zipf {
    tenants: Tenants,
    sums: Arc<Vec<f64>>,
    next: Arc<AtomicUsize>,
}

impl Zipf {
    fn new(tenants: Tenants) -> Self {
        let mut sum = 0.0;
        let sums = (1..=tenants.all().len()).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self { sums: Arc::new(sums.collect()), tenants, next: Arc::default() }
    }

    fn next(&self) -> &multitenancy::TenantContext {
        // Multiples of the golden ratio are evenly distributed and not ordered.
        let point = (self.next.fetch_add(1, Ordering::Relaxed) as f64 * 0.618_033_988_749_895).fract();
        let all = self.sums.last().copied().unwrap_or_default();
        let index = self.sums.partition_point(|sum| *sum < point * all);
        &self.tenants.all()[index.min(self.sums.len() - 1)]
    }
}

pub async fn many(effort: Effort) {
    let world = World::with(effort, |builder| builder.max_connections(BUDGET)).await;
    let zipf = Zipf::new(world.tenants(world.count(1000), Isolation::Database).await);
    let options: PgConnectOptions = world.server.url().parse().unwrap();
    let pools = Arc::new(Pools { options, open: Mutex::default() });
    let errors = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let mut comparison = Comparison::new(effort, TASKS);
    for _ in 0..comparison.rounds() {
        let (pools, of, failed) = (pools.clone(), zipf.clone(), errors.clone());
        let plain = move |_| {
            let (pools, of, failed) = (pools.clone(), of.clone(), failed.clone());
            async move {
                let read =
                    sqlx::query_as::<_, Note>(SCOPED).fetch_all(&pools.of(of.next().tenant_id())).await;
                failed[0].fetch_add(usize::from(read.is_err()), Ordering::Relaxed);
            }
        };
        comparison.measure("pools by least recent use", plain).await;
        let (store, of, failed) = (world.store.clone(), zipf.clone(), errors.clone());
        let ours = move |_| {
            let (store, of, failed) = (store.clone(), of.clone(), failed.clone());
            async move {
                let read = async {
                    let mut tx = store.read(of.next()).await?;
                    sqlx::query_as::<_, Note>(SCOPED)
                        .fetch_all(tx.conn())
                        .await
                        .map_err(multitenancy::Error::internal)
                };
                failed[1].fetch_add(usize::from(read.await.is_err()), Ordering::Relaxed);
            }
        };
        comparison.measure("the store", ours).await;
    }
    comparison.report("A read of one of 1,000 databases, by Zipf, on 60 connections; wanted: no error");
    let [plain, ours] = [0, 1].map(|side| errors[side].load(Ordering::Relaxed));
    println!("  errors: {plain} and {ours}");
}
