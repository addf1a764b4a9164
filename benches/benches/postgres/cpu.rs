//! Throwaway.
use crate::{
    read,
    world::{TASKS, World},
};
use multitenancy::Isolation;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
async fn server_cpu(url: &str) -> f64 {
    use sqlx::Connection;
    let mut c = sqlx::PgConnection::connect(url).await.unwrap();
    let pids: Vec<i32> =
        sqlx::query_scalar("SELECT pid FROM pg_stat_activity").fetch_all(&mut c).await.unwrap();
    pids.iter()
        .filter_map(|pid| {
            Some(
                std::fs::read_to_string(format!("/proc/{pid}/schedstat"))
                    .ok()?
                    .split(' ')
                    .next()?
                    .parse::<f64>()
                    .ok()?
                    / 1e3,
            )
        })
        .sum()
}
fn own_cpu() -> f64 {
    let mut t = 0.0;
    for d in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        if let Ok(s) = std::fs::read_to_string(d.path().join("schedstat")) {
            t += s.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3;
        }
    }
    t
}
#[allow(clippy::disallowed_methods)]
async fn run<F, O>(url: &str, name: &str, secs: u64, f: F)
where
    F: Fn() -> O + Clone + Send + Sync + 'static,
    O: Future<Output = ()> + Send,
{
    let n = Arc::new(AtomicU64::new(0));
    let (s0, o0, t0) = (server_cpu(url).await, own_cpu(), Instant::now());
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let (f, n) = (f.clone(), n.clone());
        set.spawn(async move {
            let t = Instant::now();
            while t.elapsed() < Duration::from_secs(secs) {
                f().await;
                n.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    set.join_all().await;
    let n = n.load(Ordering::Relaxed) as f64;
    println!(
        "{name:30} {:8.0}/s server {:6.2} client {:6.2} us",
        n / t0.elapsed().as_secs_f64(),
        (server_cpu(url).await - s0) / n,
        (own_cpu() - o0) / n
    );
}
pub async fn cpu(world: &World) {
    let tenants = world.tenants(1000, Isolation::Shared).await;
    let (default, tuned) = (world.default_pool().await, world.tuned_pool().await);
    let url = world.server.url();
    let secs: u64 = std::env::var("SECS").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    let only = std::env::var("ONLY").unwrap_or_default();
    for _ in 0..(if only.is_empty() { 3 } else { 1 }) {
        let (s, t) = (world.store.clone(), tenants.clone());
        if only.is_empty() || only == "scoped" {
            run(&url, "scoped", secs, move || read::scoped(s.clone(), t.clone())).await;
        }
        for (name, pool) in [("default", &default), ("tuned", &tuned)] {
            if only.is_empty() || only == name {
                let (p, t) = (pool.clone(), tenants.clone());
                run(&url, name, secs, move || read::unscoped(p.clone(), t.clone())).await;
            }
        }
        let (s, t) = (world.store.clone(), tenants.clone());
        if only.is_empty() || only == "stx" {
            run(&url, "scoped tx", secs, move || read::scoped_tx(s.clone(), t.clone())).await;
        }
        let (p, t) = (tuned.clone(), tenants.clone());
        if only.is_empty() || only == "ptx" {
            run(&url, "plain tx", secs, move || read::plain_tx(p.clone(), t.clone())).await;
        }
    }
}

pub async fn db(effort: multitenancy_benches::Effort) {
    let get = |n: &str, d: usize| std::env::var(n).ok().and_then(|s| s.parse().ok()).unwrap_or(d);
    let (budget, dbs) = (get("BUDGET", 64), get("DBS", 8));
    let world =
        World::with(effort, |b| b.max_connections(budget).max_connections_per_tenant(get("WIDTH", TASKS)))
            .await;
    let databases = world.tenants(dbs, Isolation::Database).await;
    let shared = world.tenants(1000, Isolation::Shared).await;
    let url = world.server.url();
    let first = databases.all()[0].tenant().id;
    let plain = format!("{}/tenant_{}", url.rsplit_once('/').unwrap().0, first.as_uuid().simple());
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(16)
        .min_connections(16)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect(&plain)
        .await
        .unwrap();
    for _ in 0..3 {
        let p = pool.clone();
        run(&url, "plain db", 2, move || {
            let p = p.clone();
            async move {
                let n: Vec<read::Note> = sqlx::query_as(read::SCOPED).fetch_all(&p).await.unwrap();
                assert_eq!(n.len(), 20);
            }
        })
        .await;
        let (s, t) = (world.store.clone(), databases.clone());
        run(&url, "databases", 2, move || read::scoped(s.clone(), t.clone())).await;
        let (s, t) = (world.store.clone(), shared.clone());
        run(&url, "shared", 2, move || read::scoped(s.clone(), t.clone())).await;
    }
}
