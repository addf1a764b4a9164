//! Reads the 20 newest notes of a tenant, and runs a transaction of one insert and one read.

use multitenancy::{Isolation, sqlx::PgStore};
use multitenancy_benches::Comparison;
use sqlx::PgPool;

use crate::world::{TASKS, Tenants, World};

/// The scoped query, which does not name the tenant.
pub const SCOPED: &str = "SELECT id, text FROM notes ORDER BY id DESC LIMIT 20";
/// The unscoped query, with a role that bypasses row-level security.
const RAW: &str = "SELECT id, text FROM tenants.notes WHERE tenant_id = $1 ORDER BY id DESC LIMIT 20";

pub type Note = (i64, String);

pub async fn shared(world: &World) {
    let tenants = world.tenants(world.count(1000), Isolation::Shared).await;
    let (default, tuned) = (world.default_pool().await, world.tuned_pool().await);
    let mut comparison = Comparison::new(world.effort, TASKS);
    for _ in 0..comparison.rounds() {
        let (store, of) = (world.store.clone(), tenants.clone());
        comparison.measure("scoped read", move |_| scoped(store.clone(), of.clone())).await;
        for (name, pool) in
            [("unscoped, sqlx's default pool", &default), ("unscoped, sqlx's tuned pool", &tuned)]
        {
            let (pool, of) = (pool.clone(), tenants.clone());
            comparison.measure(name, move |_| unscoped(pool.clone(), of.clone())).await;
        }
        let (pool, of) = (default.clone(), tenants.clone());
        comparison.measure("by hand, sqlx's default pool", move |_| by_hand(pool.clone(), of.clone())).await;
    }
    comparison.report("A read; scoped ÷ the others wanted: 1.0, 0.9, 1.7 (their inverse is printed)");
}

pub async fn transaction(world: &World) {
    let tenants = world.tenants(world.count(1000), Isolation::Shared).await;
    let tuned = world.tuned_pool().await;
    let mut comparison = Comparison::new(world.effort, TASKS);
    for _ in 0..comparison.rounds() {
        let (pool, of) = (tuned.clone(), tenants.clone());
        let plain = move |_| plain_transaction(pool.clone(), of.clone());
        comparison.measure("plain transaction, sqlx's tuned pool", plain).await;
        let (store, of) = (world.store.clone(), tenants.clone());
        comparison
            .measure("scoped transaction", move |_| scoped_transaction(store.clone(), of.clone()))
            .await;
    }
    comparison.report("A transaction of one insert and one read; wanted: 1.2");
}

pub async fn scoped(store: PgStore, tenants: Tenants) {
    let mut tx = store.read(&tenants.next()).await.unwrap();
    let notes: Vec<Note> = sqlx::query_as(SCOPED).fetch_all(tx.conn()).await.unwrap();
    assert_eq!(notes.len(), 20);
}

async fn unscoped(pool: PgPool, tenants: Tenants) {
    let notes: Vec<Note> = sqlx::query_as(RAW).bind(tenants.next_id()).fetch_all(&pool).await.unwrap();
    assert_eq!(notes.len(), 20);
}

async fn by_hand(pool: PgPool, tenants: Tenants) {
    let mut tx = pool.begin().await.unwrap();
    let id = tenants.next_id();
    let set = sqlx::query("SELECT set_config('app.tenant_id', $1, true)").bind(id.to_string());
    set.execute(&mut *tx).await.unwrap();
    let notes: Vec<Note> = sqlx::query_as(RAW).bind(id).fetch_all(&mut *tx).await.unwrap();
    assert_eq!(notes.len(), 20);
    tx.commit().await.unwrap();
}

async fn scoped_transaction(store: PgStore, tenants: Tenants) {
    let mut tx = store.begin(&tenants.next()).await.unwrap();
    let insert = sqlx::query("INSERT INTO notes (text) VALUES ($1)").bind("a note");
    insert.execute(tx.conn()).await.unwrap();
    let notes: Vec<Note> = sqlx::query_as(SCOPED).fetch_all(tx.conn()).await.unwrap();
    assert_eq!(notes.len(), 20);
    tx.commit().await.unwrap();
}

async fn plain_transaction(pool: PgPool, tenants: Tenants) {
    let mut tx = pool.begin().await.unwrap();
    let id = tenants.next_id();
    let insert = sqlx::query("INSERT INTO tenants.notes (tenant_id, text) VALUES ($1, $2)");
    insert.bind(id).bind("a note").execute(&mut *tx).await.unwrap();
    let notes: Vec<Note> = sqlx::query_as(RAW).bind(id).fetch_all(&mut *tx).await.unwrap();
    assert_eq!(notes.len(), 20);
    tx.commit().await.unwrap();
}
