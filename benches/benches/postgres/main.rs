//! On a private PostgreSQL server: the cost of isolation, of another tenant's burst, and of migrating a fleet.
//!
//! Runs all sections, or the named ones: `cargo bench -p multitenancy-benches --bench postgres -- read transaction`.
#![expect(clippy::unwrap_used, reason = "a benchmark, not a library: it fails by panicking")]

mod burst;
mod fleet;
mod many;
mod modes;
mod read;
mod world;

use multitenancy_benches::Effort;

use crate::world::World;

#[tokio::main]
async fn main() {
    let effort = Effort::from_arguments();
    let named: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |section: &str| named.is_empty() || named.iter().any(|name| name == section);
    let world = World::start(effort).await;
    if wanted("read") {
        read::shared(&world).await;
    }
    if wanted("transaction") {
        read::transaction(&world).await;
    }
    if wanted("schema") {
        modes::schema(effort).await;
    }
    if wanted("database") {
        modes::database(effort).await;
    }
    if wanted("burst") {
        burst::burst(&world).await;
    }
    drop(world);
    if wanted("many") {
        many::many(effort).await;
    }
    if wanted("fleet") {
        fleet::fleet(effort).await;
    }
}
