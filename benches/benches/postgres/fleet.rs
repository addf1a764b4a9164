//! Migrates 1,000 schemas, compared with a loop over sqlx's migrator.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use multitenancy::{Isolation, Store, sqlx::PgStore, store::fleet::FleetOptions};
use multitenancy_benches::Effort;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::world::World;

const SECOND: &str = "ALTER TABLE notes ADD COLUMN title text";

pub async fn fleet(effort: Effort) {
    let world = World::with(effort, |builder| builder).await;
    let tenants = world.tenants(world.count(1000), Isolation::Schema).await;
    let plain = PlainSchemas::make(&world, tenants.all().len()).await;

    let nothing = time(async { plain.run(&first()).await }).await;
    let ours_nothing = time(migrate_all(&world.store)).await;
    let one = time(async { plain.run(&second()).await }).await;
    let grown = PgStore::builder(&world.server.url()).tenant_migrations(second()).allow_privileged_url(true);
    let grown = grown.connect().await.unwrap();
    let ours_one = time(migrate_all(&grown)).await;
    let audit = time(async { assert_eq!(grown.audit().await.unwrap(), []) }).await;

    let note = if effort.measures { "" } else { "  (smoke run: not a measurement)" };
    println!("\nMigrating {} schemas, beside a loop over sqlx's Migrator{note}", tenants.all().len());
    let ratio = |ours: Duration, theirs: Duration| ours.as_secs_f64() / theirs.as_secs_f64();
    println!(
        "  nothing to do: {ours_nothing:?} ÷ {nothing:?} = {:.3}; wanted: 0.05",
        ratio(ours_nothing, nothing)
    );
    println!("  one new migration: {one:?} ÷ {ours_one:?} = {:.2}; wanted: 2", ratio(one, ours_one));
    println!("  what `migrate` does besides, the audit of both thousands: {audit:?}");
}

async fn migrate_all(store: &PgStore) {
    let run = store.fleet().migrate_all(&FleetOptions::default()).await.unwrap();
    run.finish().await.into_result().unwrap();
}

/// The same number of schemas with the same table. sqlx alone migrates them, one by one, on one connection.
struct PlainSchemas {
    url: String,
    count: usize,
}

impl PlainSchemas {
    async fn make(world: &World, count: usize) -> Self {
        let plain = Self { url: world.server.url(), count };
        for number in 0..count {
            world.execute(&format!("CREATE SCHEMA plain_{number}")).await;
        }
        plain.run(&first()).await;
        plain
    }

    async fn run(&self, migrator: &Migrator) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        for number in 0..self.count {
            let path = format!("SET search_path TO plain_{number}");
            sqlx::raw_sql(AssertSqlSafe(path)).execute(&mut connection).await.unwrap();
            migrator.run(&mut connection).await.unwrap();
        }
    }
}

fn first() -> Migrator {
    sqlx::migrate!("./migrations/postgres")
}

fn second() -> Migrator {
    let mut migrations: Vec<_> = first().iter().cloned().collect();
    let sql = SECOND.into_sql_str();
    migrations.push(Migration::new(2, Cow::Borrowed("titles"), MigrationType::Simple, sql, false));
    Migrator::with_migrations(migrations)
}

async fn time(work: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}
