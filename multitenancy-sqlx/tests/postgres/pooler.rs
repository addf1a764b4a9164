//! Behind PgBouncer in transaction mode, where each transaction may run on a different connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use multitenancy_core::{ErrorKind, Isolation, Store, TenantContext};
use multitenancy_sqlx::{PgStore, PgStoreBuilder};
use multitenancy_testkit::{Harness, conformance_suite, fixtures, postgres::PostgresServer};
use tokio::task::JoinSet;

use crate::{
    bouncer::PgBouncer,
    migrator::migrations,
    server::{Server, execute, run, server_url, url},
    stage::{APPLICATION, value},
};

/// The suite's harness: each store has four server connections for its fifty.
struct Pooled {
    server: Server,
    bouncer: PgBouncer,
}

impl Pooled {
    fn new() -> Self {
        Self { server: Server::new(Isolation::Shared), bouncer: PgBouncer::start(&server_url(), 4, "") }
    }
}

#[async_trait]
impl Harness for Pooled {
    async fn open(&self) -> Arc<dyn Store> {
        let direct = url(&self.server.create_made().await);
        Arc::new(through(&self.bouncer, &direct).connect().await.unwrap())
    }
}

mod shared {
    use super::*;
    conformance_suite!(Pooled::new());
}

fn through(bouncer: &PgBouncer, direct: &str) -> PgStoreBuilder {
    PgStore::builder(&bouncer.url(direct)).admin_url(direct).transaction_pooler(true)
}

/// A server whose settings differ from ours, so that any setting missing in a transaction shows.
fn odd_server() -> PostgresServer {
    PostgresServer::start(&["timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'"]).unwrap()
}

fn application(bouncer: &PgBouncer, direct: &str) -> PgStoreBuilder {
    through(bouncer, direct)
        .tenant_migrations(migrations(APPLICATION))
        .reference_table("countries")
        .statement_timeout(Duration::from_secs(7))
        .lock_timeout(Duration::from_secs(3))
        .idle_in_transaction_timeout(Duration::from_secs(11))
        .acquire_timeout(Duration::from_secs(60))
}

async fn tenant(store: &PgStore, slug: &str, isolation: Isolation) -> TenantContext {
    fixtures::context(&fixtures::provisioned_in(store, slug, isolation).await)
}

/// A client that waits for a connection of the pooler waits for as long as a unit may, and then learns that it is busy.
#[tokio::test]
async fn pooler_without_free_connection_is_overloaded() {
    let server = PostgresServer::start(&[]).unwrap();
    let bouncer = PgBouncer::start(&server.url(), 2, "");
    let builder = through(&bouncer, &server.url()).acquire_timeout(Duration::from_secs(1));
    let store = builder.connect().await.unwrap();
    let acme = tenant(&store, "acme", Isolation::Shared).await;
    let held = [store.begin(&acme).await.unwrap(), store.begin(&acme).await.unwrap()];
    let refused = store.begin(&acme).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused:?}");
    drop(held);
    store.begin(&acme).await.unwrap();
}

const SETTINGS: &str = "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), \
    current_setting('idle_in_transaction_session_timeout'), current_setting('search_path'), current_user, \
    current_setting('TimeZone'), current_setting('DateStyle'), \
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()))";

/// 2,000 transactions of tenants of all isolations alternate on two server connections, and try to leave state behind
/// on them. Each sees its own rows, its limits and its search path.
#[tokio::test(flavor = "multi_thread")]
async fn s10_tenants_alternate_on_two_connections() {
    let server = odd_server();
    let bouncer = PgBouncer::start(&server.url(), 2, "");
    let store = application(&bouncer, &server.url()).max_connections(8).connect().await.unwrap();
    store.migrate().await.unwrap();
    let mut contexts = Vec::new();
    for (index, isolation) in
        [Isolation::Shared, Isolation::Shared, Isolation::Schema, Isolation::Schema].into_iter().enumerate()
    {
        contexts.push(tenant(&store, &format!("tenant-{index}"), isolation).await);
    }
    contexts.push(tenant(&store, "own-database", Isolation::Database).await);
    let mut working = JoinSet::new();
    for worker in 0..5 {
        let (store, contexts) = (store.clone(), contexts.clone());
        working.spawn(async move {
            let mut backends: Vec<(i32, usize)> = Vec::new();
            for round in 0..400 {
                let index = (worker + round) % contexts.len();
                backends.push((one_unit(&store, &contexts[index], round).await, index));
            }
            backends
        });
    }
    let mut served: BTreeMap<i32, BTreeSet<usize>> = BTreeMap::new();
    while let Some(backends) = working.join_next().await {
        for (backend, tenant) in backends.unwrap() {
            served.entry(backend).or_default().insert(tenant);
        }
    }
    // A server connection is closed when a client closes with a ROLLBACK in flight, so there are some.
    assert!(served.len() < 200, "{}", served.len());
    assert!(served.values().any(|tenants| tenants.len() == 4), "no connection was shared: {served:?}");
}

/// Writes a row or reads all rows, in its own name, and tries to leave state behind. Returns the server's process.
async fn one_unit(store: &PgStore, context: &TenantContext, round: usize) -> i32 {
    const ATTEMPTS: [&str; 4] = [
        "SET statement_timeout = 0; SET search_path TO public",
        "SET ROLE none",
        "SELECT pg_advisory_lock(42)",
        "SET TimeZone = 'Europe/Zurich'; SET application_name = 'mine'",
    ];
    let tenant = context.tenant();
    let path = match tenant.isolation {
        Isolation::Shared => "tenants".to_owned(),
        Isolation::Schema => format!("tenant_{}", tenant.id.as_uuid().simple()),
        Isolation::Database => "public".to_owned(),
    };
    let reads = round % 4 == 3;
    let unit = if reads { store.read(context).await } else { store.begin(context).await };
    let mut unit = unit.unwrap();
    let settings: String = value(unit.conn(), SETTINGS).await.unwrap();
    assert_eq!(settings, format!("7s 3s 11s {path} multitenancy_app UTC ISO, MDY 0"), "{round}");
    let names: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT name FROM projects").fetch_all(unit.conn()).await.unwrap();
    assert!(names.iter().all(|name| name == tenant.slug.as_str()), "{}: {names:?}", tenant.slug);
    if !reads {
        let insert = sqlx::query("INSERT INTO projects (name) VALUES ($1)").bind(tenant.slug.as_str());
        insert.execute(unit.conn()).await.unwrap();
    }
    let backend = value(unit.conn(), "SELECT pg_backend_pid()").await.unwrap();
    run(unit.conn(), ATTEMPTS[round / 4 % ATTEMPTS.len()].to_owned()).await;
    match round % 4 {
        0 | 1 => unit.commit().await.unwrap(),
        _ => drop(unit),
    }
    backend
}

/// The control: the pooler refuses a store that does not declare it. Behind a pooler configured to ignore unknown
/// parameters, as some are, the store's units lose their limits or fail.
#[tokio::test(flavor = "multi_thread")]
async fn control_undeclared_pooler_breaks_the_store() {
    let server = odd_server();
    let direct = server.url();
    let strict = PgBouncer::start(&direct, 2, "");
    drop(application(&strict, &direct).connect().await.unwrap());
    let untold = |bouncer| application(bouncer, &direct).transaction_pooler(false);
    let refused = untold(&strict).connect().await.unwrap_err();
    assert!(format!("{refused:?}").contains("unsupported startup parameter"), "{refused:?}");
    assert!(refused.to_string().contains("transaction_pooler"), "{refused}");

    let lax = PgBouncer::start(&direct, 2, "ignore_startup_parameters = options, extra_float_digits");
    let mut faults = Vec::new();
    match untold(&lax).connect().await {
        Err(error) => faults.push(format!("{error:?}")),
        Ok(store) => {
            let acme = tenant(&store, "acme", Isolation::Shared).await;
            for _ in 0..20 {
                match store.begin(&acme).await {
                    Err(error) => faults.push(format!("{error:?}")),
                    Ok(mut unit) => match value::<String>(unit.conn(), SETTINGS).await {
                        Ok(settings) if settings.starts_with("7s 3s 11s tenants multitenancy_app") => {}
                        other => faults.push(format!("{other:?}")),
                    },
                }
            }
        }
    }
    assert!(!faults.is_empty(), "the store works where nothing is kept");
}

/// Behind a pooler, a store without a direct URL is refused.
#[tokio::test]
async fn a_pooled_store_needs_an_admin_url() {
    let refused = PgStore::builder(&server_url()).transaction_pooler(true).connect().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("admin URL"), "{refused}");
}

/// S32: the pooler answers for the server when the server is lost during a COMMIT: the outcome is unknown. The store
/// works again when the server does.
#[tokio::test(flavor = "multi_thread")]
async fn s32_a_server_lost_behind_the_pooler_is_unknown() {
    let server = odd_server();
    let bouncer = PgBouncer::start(&server.url(), 2, "server_login_retry = 1");
    let store = application(&bouncer, &server.url()).connect().await.unwrap();
    store.migrate().await.unwrap();
    let acme = tenant(&store, "acme", Isolation::Shared).await;
    let slow = "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$; \
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON tenants.projects DEFERRABLE INITIALLY DEFERRED \
                FOR EACH ROW EXECUTE FUNCTION public.slow()";
    execute(&server.url(), slow.to_owned()).await;
    let mut unit = store.begin(&acme).await.unwrap();
    run(unit.conn(), "INSERT INTO projects (name) VALUES ('x')".to_owned()).await;
    let committing = tokio::spawn(unit.commit());
    let mut look = <sqlx::PgConnection as sqlx::Connection>::connect(&server.url()).await.unwrap();
    crate::watch::eventually("it commits", Duration::from_secs(5), async || {
        value::<i64>(&mut look, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            .await
            .unwrap()
            == 1
    })
    .await;
    server.kill().unwrap();
    let error = committing.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unknown, "commit_unknown"), "{error:?}");
    server.resume().unwrap();
    crate::watch::eventually("it works again", Duration::from_secs(30), async || {
        match store.read(&acme).await {
            Ok(mut unit) => value::<i64>(unit.conn(), "SELECT count(*) FROM projects").await.unwrap() == 0,
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                false
            }
        }
    })
    .await;
}
