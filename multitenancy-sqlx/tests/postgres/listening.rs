//! Other processes hear of a change: at once while they listen, and on reconnect after a gap.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use multitenancy_core::{
    ControlContext, Isolation, Store, Tenancy, Tenant, TenantId,
    auth::{KeyRing, SigningKey},
    environment::monotonic,
    tenant::{TenantKey, TenantStatus},
};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::{TestEvent, fixtures::context};
use secrecy::SecretString;
use sqlx::postgres::PgListener;

use crate::{
    migrator::migrations,
    server::{execute, server_url, url},
    stage::{APPLICATION, Stage, run, value},
    watch::{Watch, eventually},
};

const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(20);
const CANARY: &str = "canary-7f3a";

pub async fn set_status(store: &PgStore, tenant: &Tenant, from: TenantStatus, to: TenantStatus) {
    multitenancy_testkit::fixtures::set_status(store, tenant.id, from, to).await.unwrap();
}

pub async fn suspend(store: &PgStore, tenant: &Tenant) {
    set_status(store, tenant, TenantStatus::Active, TenantStatus::Suspended).await;
}

async fn resume(store: &PgStore, tenant: &Tenant) {
    set_status(store, tenant, TenantStatus::Suspended, TenantStatus::Active).await;
}

/// The cache of another process, with a lifetime of one hour.
fn tenancy(store: &PgStore) -> Tenancy {
    let key = SigningKey::hs256(&SecretString::from("8dK2mQ5vX9zR3tY6wB1nH4jL7pC0sF8g")).unwrap();
    let builder = Tenancy::builder(store.clone()).keys(KeyRing::new(key));
    builder.tenant_cache_ttl(Duration::from_secs(3600)).without_background_work().build().unwrap()
}

async fn status(tenancy: &Tenancy, tenant: &Tenant) -> TenantStatus {
    tenancy.access().find_tenant(&TenantKey::Slug(tenant.slug.clone())).await.unwrap().unwrap().status
}

/// The signals that a store receives.
fn heard(store: &PgStore) -> Arc<Mutex<Vec<Option<TenantId>>>> {
    let heard: Arc<Mutex<Vec<_>>> = Arc::default();
    let hearing = heard.clone();
    store.signals().on_tenant_changed(move |changed| hearing.lock().unwrap().push(changed));
    heard
}

/// Waits until the store receives notifications of its database and has flushed its cache.
async fn listens(store: &PgStore) -> Watch {
    let mut watch = Watch::of(store).await;
    eventually("it listens", LATER, async || watch.listens().await).await;
    let (words, word) = (heard(store), TenantId::generate(store.environment()));
    let say = format!("SELECT pg_notify('multitenancy_tenants', '{word} somebody')");
    execute(&url(&database(store).await), say).await;
    eventually("it hears", LATER, async || words.lock().unwrap().contains(&Some(word))).await;
    watch
}

async fn database(store: &PgStore) -> String {
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    value(unit.conn(), "SELECT current_database()::text").await.unwrap()
}

/// S117: a tenant suspended by one process is soon refused by another, although that one caches for an hour.
#[tokio::test]
async fn s117_other_processes_hear_of_a_suspension() {
    let stage = Stage::new().await;
    let other = stage.start().await.unwrap();
    let acme = stage.tenant("acme", Isolation::Shared).await;
    let there = tenancy(&other);
    listens(&other).await;
    for _ in 0..5 {
        assert_eq!(status(&there, &acme).await, TenantStatus::Active);
        suspend(&stage.store, &acme).await;
        eventually("heard", SOON, async || status(&there, &acme).await == TenantStatus::Suspended).await;
        resume(&stage.store, &acme).await;
        eventually("heard", SOON, async || status(&there, &acme).await == TenantStatus::Active).await;
    }
}

/// S117: a change during a gap of the listener is known once the listener is back. Before that it is unknown: this is
/// the control.
#[tokio::test]
async fn s117_missed_notifications_flush_the_cache() {
    let stage = Stage::new().await;
    let other = stage.start().await.unwrap();
    let acme = stage.tenant("acme", Isolation::Shared).await;
    let there = tenancy(&other);
    let mut watch = listens(&other).await;
    assert_eq!(status(&there, &acme).await, TenantStatus::Active);

    let mut registry = stage.connection().await;
    // The listener cannot come back before it is permitted to.
    let allow = |whether: bool| format!("ALTER DATABASE {} ALLOW_CONNECTIONS {whether}", stage.database);
    execute(&server_url(), allow(false)).await;
    watch.end_listener().await;
    // Without the framework, which would need a new connection to suspend.
    run(&mut registry, "UPDATE multitenancy_tenants SET status = 'suspended'").await.unwrap();
    let told = heard(&other);
    assert_eq!(status(&there, &acme).await, TenantStatus::Active, "it has not heard of it");
    execute(&server_url(), allow(true)).await;
    eventually("flushed", LATER, async || status(&there, &acme).await == TenantStatus::Suspended).await;
    assert_eq!(*told.lock().unwrap(), [None], "once, and of all tenants");
    resume(&stage.store, &acme).await;
    eventually("heard", LATER, async || status(&there, &acme).await == TenantStatus::Active).await;
}

/// E20: after a newer program has migrated, an older one refuses the tenants it has just served as soon as it hears
/// of it, long before its cache expires.
#[tokio::test]
async fn e20_other_processes_hear_of_a_migration() {
    const LOOKS_AGAIN: Duration = Duration::from_secs(5);
    let stage = Stage::new().await;
    let mut tenants = Vec::new();
    for isolation in [Isolation::Shared, Isolation::Schema, Isolation::Database] {
        tenants.push(context(&stage.tenant(&format!("acme-{isolation}"), isolation).await));
    }
    let newer: Vec<_> = APPLICATION
        .iter()
        .copied()
        .chain(["CREATE TABLE notes (text text); SELECT multitenancy.protect('notes')"])
        .collect();
    let newer = stage.builder().tenant_migrations(migrations(&newer)).connect().await.unwrap();
    listens(&stage.store).await;
    let served = monotonic();
    for tenant in &tenants {
        drop(stage.store.read(tenant).await.unwrap());
    }
    newer.migrate().await.unwrap();
    for tenant in &tenants {
        let refused =
            async || stage.store.read(tenant).await.is_err_and(|error| error.code() == "tenant_upgrading");
        eventually("refused", SOON, refused).await;
        drop(newer.read(tenant).await.unwrap());
    }
    assert!(served.elapsed() < LOOKS_AGAIN);
}

/// A process's own changes are signalled once: at the commit, and not again by the server.
#[tokio::test]
async fn own_changes_are_signalled_once() {
    let stage = Stage::new().await;
    let (a, b) = (stage.start().await.unwrap(), stage.start().await.unwrap());
    let (acme, globex) =
        (stage.tenant("acme", Isolation::Shared).await, stage.tenant("globex", Isolation::Shared).await);
    listens(&a).await;
    listens(&b).await;
    let (by_a, by_b) = (heard(&a), heard(&b));
    suspend(&a, &acme).await;
    eventually("b hears of it", LATER, async || by_b.lock().unwrap().contains(&Some(acme.id))).await;
    // Notifications keep their order: when this one arrives, the own one would have arrived.
    suspend(&b, &globex).await;
    eventually("a hears of it", LATER, async || by_a.lock().unwrap().contains(&Some(globex.id))).await;
    assert_eq!(by_a.lock().unwrap().iter().filter(|told| **told == Some(acme.id)).count(), 1);
    assert_eq!(by_b.lock().unwrap().iter().filter(|told| **told == Some(acme.id)).count(), 1);
}

/// Any login can write to the channel: an invalid notification flushes the cache, and ends nothing.
#[tokio::test]
async fn e7_garbage_flushes_and_ends_nothing() {
    let stage = Stage::new().await;
    let acme = stage.tenant("acme", Isolation::Shared).await;
    let mut watch = listens(&stage.store).await;
    let told = heard(&stage.store);
    let long = "x".repeat(7_999);
    let garbage = ["", " ", "x", "x y", "''; DROP TABLE --", "\u{1f980} \u{7}", &long];
    for text in &garbage {
        stage.sql(format!("SELECT pg_notify('multitenancy_tenants', '{text}')")).await;
    }
    stage.sql(format!("SELECT pg_notify('multitenancy_tenants', '{} somebody')", acme.id)).await;
    eventually("heard", LATER, async || told.lock().unwrap().contains(&Some(acme.id))).await;
    let told = told.lock().unwrap().clone();
    let flushes = told.iter().filter(|told| told.is_none()).count();
    assert!(flushes >= garbage.len(), "{told:?}");
    assert!(watch.listens().await);
}

/// E7: while two tenants write a secret into every value, the channel carries only ids. The control: a notification
/// with the secret on that channel is seen.
#[tokio::test]
async fn e7_the_channel_carries_ids_alone() {
    let stage = Stage::new().await;
    let mut listener = PgListener::connect(&url(&stage.database)).await.unwrap();
    listener.listen("multitenancy_tenants").await.unwrap();
    let mut ids = BTreeSet::new();
    for (index, isolation) in [Isolation::Shared, Isolation::Schema].into_iter().enumerate() {
        let tenant = stage.tenant(&format!("{CANARY}-{index}"), isolation).await;
        ids.insert(tenant.id.to_string());
        for round in 0..10 {
            let mut unit = stage.store.begin(&context(&tenant)).await.unwrap();
            run(unit.conn(), format!("INSERT INTO projects (name) VALUES ('{CANARY}')")).await.unwrap();
            unit.publish(TestEvent::new(CANARY, round)).await.unwrap();
            unit.commit().await.unwrap();
        }
        suspend(&stage.store, &tenant).await;
        resume(&stage.store, &tenant).await;
    }
    stage.sql(format!("SELECT pg_notify('multitenancy_tenants', '{CANARY}')")).await;
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != CANARY) {
        let word = tokio::time::timeout(LATER, listener.recv()).await.unwrap().unwrap();
        words.push(word.payload().to_owned());
    }
    words.pop();
    assert!(words.len() >= 4, "{words:?}");
    for word in &words {
        let (id, by) = word.split_once(' ').unwrap();
        assert!(ids.contains(id) && !word.contains(CANARY), "{word}");
        let name = by.strip_prefix("multitenancy ").unwrap();
        assert!(name.len() == 32 && name.chars().all(|c| c.is_ascii_hexdigit()), "{word}");
    }
}

/// E7: the framework's locks have their own names, and none is held when no provisioning or migration runs.
#[tokio::test]
async fn e7_advisory_locks_are_namespaced_and_released() {
    const HELD: &str = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                        WHERE locktype = 'advisory' AND datname = current_database()";
    let stage = Stage::new().await;
    let mut here = stage.connection().await;
    let acme = stage.tenant("acme", Isolation::Schema).await;
    // The server may take a moment to end the connection that held a lock.
    eventually("let go", SOON, async || value::<i64>(&mut here, HELD).await.unwrap() == 0).await;
    // Another session with the same lock makes the store wait: this proves the name.
    let lock = format!(
        "pg_advisory_lock(hashtextextended('multitenancy:tenant_{}', 0))",
        acme.id.as_uuid().simple()
    );
    run(&mut here, format!("SELECT {lock}")).await.unwrap();
    let (store, tenant) = (stage.store.clone(), acme.clone());
    let provisioning = tokio::spawn(async move { store.provision(&tenant).await });
    let mut look = stage.connection().await;
    eventually("it waits", LATER, async || {
        value::<i64>(&mut look, format!("{HELD} AND NOT granted")).await.unwrap() == 1
    })
    .await;
    assert!(!provisioning.is_finished());
    run(&mut here, "SELECT pg_advisory_unlock_all()").await.unwrap();
    provisioning.await.unwrap().unwrap();
    stage.store.migrate().await.unwrap();
    eventually("let go", SOON, async || value::<i64>(&mut look, HELD).await.unwrap() == 0).await;
}
