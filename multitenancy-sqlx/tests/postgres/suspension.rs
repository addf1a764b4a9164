//! S117: after a suspension has returned, no unit of its tenant commits. The suite's cases `set_status_3…` and
//! `suspending` cover every store.

use std::time::Duration;

use multitenancy_core::{Error, ErrorKind, Isolation, Store, Tenant, tenant::TenantStatus};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::{assert_fails, fixtures::context, tenant};
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::{
    isolation::{ISOLATIONS, owner},
    listening::{set_status, suspend},
    stage::{Stage, run, value},
    watch::eventually,
};

const LATER: Duration = Duration::from_secs(20);

async fn write(store: &PgStore, tenant: &Tenant) -> Result<(), Error> {
    let mut unit = store.begin(&context(tenant)).await?;
    run(unit.conn(), "INSERT INTO projects (name) VALUES ('written')").await.unwrap();
    unit.commit().await
}

async fn projects(owner: &mut PgConnection) -> i64 {
    value(owner, "SELECT count(*) FROM projects").await.unwrap()
}

/// A COMMIT that runs when a suspension begins has completed when the suspension returns.
#[tokio::test]
async fn s117_suspension_waits_for_running_commits() {
    for isolation in ISOLATIONS {
        let mut race = Race::new(isolation, "").await;
        let (store, tenant) = (race.stage.store.clone(), race.acme.clone());
        let suspension = tokio::spawn(async move { suspend(&store, &tenant).await });
        eventually("it waits", LATER, async || race.waiting().await == 2).await;
        assert!(!suspension.is_finished());
        race.let_go().await;
        suspension.await.unwrap();
        assert_eq!(race.projects().await, 1, "{isolation:?}");
        race.writing.await.unwrap().unwrap();
    }
}

/// The control: where a COMMIT checks the fence without a lock, a suspension returns before a running COMMIT.
#[tokio::test]
async fn control_lockless_commit_follows_suspension() {
    let looks = "CREATE OR REPLACE FUNCTION multitenancy.pass_fence() RETURNS void LANGUAGE plpgsql AS
                 'BEGIN IF EXISTS (SELECT FROM multitenancy.fences) THEN RAISE SQLSTATE ''MT117''; END IF; END'";
    let mut race = Race::new(Isolation::Shared, looks).await;
    suspend(&race.stage.store, &race.acme).await;
    assert_eq!(race.projects().await, 0);
    race.let_go().await;
    (&mut race.writing).await.unwrap().unwrap();
    assert_eq!(race.projects().await, 1, "committed in a tenant that is suspended");
}

/// A write that is held up during its COMMIT, past the fence.
struct Race {
    stage: Stage,
    acme: Tenant,
    owner: PgConnection,
    writing: JoinHandle<Result<(), Error>>,
}

impl Race {
    async fn new(isolation: Isolation, sabotage: &str) -> Self {
        let stage = Stage::new().await;
        let acme = stage.tenant("acme", isolation).await;
        let mut owner = owner(&stage, &acme).await;
        let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
                        AS 'BEGIN PERFORM pg_advisory_xact_lock(117); RETURN NULL; END';
                    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON projects DEFERRABLE INITIALLY DEFERRED
                    FOR EACH ROW EXECUTE FUNCTION slow();
                    SELECT pg_advisory_lock(117)";
        run(&mut owner, slow).await.unwrap();
        run(&mut owner, sabotage).await.unwrap();
        let (store, tenant) = (stage.store.clone(), acme.clone());
        let writing = tokio::spawn(async move { write(&store, &tenant).await });
        let mut race = Self { stage, acme, owner, writing };
        eventually("it is being committed", LATER, async || race.waiting().await == 1).await;
        race
    }

    /// The number of sessions that wait for an advisory lock.
    async fn waiting(&mut self) -> i64 {
        let waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                       WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()";
        value(&mut self.owner, waiting).await.unwrap()
    }

    async fn let_go(&mut self) {
        run(&mut self.owner, "SELECT pg_advisory_unlock_all()").await.unwrap();
    }

    async fn projects(&mut self) -> i64 {
        projects(&mut self.owner).await
    }
}

/// A statement that lowers a fence may run late, after its sender has ended: it finds no fence raised since.
#[tokio::test]
async fn s117_late_lowering_keeps_a_newer_fence() {
    for isolation in ISOLATIONS {
        let stage = Stage::new().await;
        let acme = stage.tenant("acme", isolation).await;
        suspend(&stage.store, &acme).await;
        let mut holding = owner(&stage, &acme).await;
        let late = "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql
                        AS 'BEGIN PERFORM pg_advisory_xact_lock(117); RETURN NULL; END';
                    CREATE TRIGGER late BEFORE DELETE ON multitenancy.fences EXECUTE FUNCTION late();
                    SELECT pg_advisory_lock(117)";
        run(&mut holding, late).await.unwrap();
        let (store, tenant) = (stage.store.clone(), acme.clone());
        let activating = tokio::spawn(async move {
            set_status(&store, &tenant, TenantStatus::Suspended, TenantStatus::Active).await;
        });
        let mut look = owner(&stage, &acme).await;
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
        eventually("it is about to be lowered", LATER, async || {
            value::<i64>(&mut look, waiting).await.unwrap() == 1
        })
        .await;
        activating.abort();
        suspend(&stage.store, &acme).await;
        run(&mut holding, "SELECT pg_advisory_unlock_all()").await.unwrap();
        eventually("it was carried out", LATER, async || {
            value::<i64>(&mut look, waiting).await.unwrap() == 0
        })
        .await;
        assert_fails(write(&stage.store, &acme).await, ErrorKind::Forbidden, "tenant_inactive");
    }
}

/// A process that has not heard of the suspension commits nothing either.
#[tokio::test]
async fn s117_fence_stops_other_processes() {
    let stage = Stage::new().await;
    let other = stage.start().await.unwrap();
    for isolation in ISOLATIONS {
        let acme = stage.tenant(&format!("acme-{isolation}"), isolation).await;
        write(&other, &acme).await.unwrap();
        suspend(&stage.store, &acme).await;
        assert_fails(write(&other, &acme).await, ErrorKind::Forbidden, "tenant_inactive");
        assert_eq!(projects(&mut owner(&stage, &acme).await).await, 1);
    }
}

/// A process that ended during a suspension has left a fence around an active tenant: a unit that it stops may be
/// retried, and is not stopped twice.
#[tokio::test]
async fn s117_stale_fence_is_lowered() {
    let stage = Stage::new().await;
    for isolation in ISOLATIONS {
        let acme = stage.tenant(&format!("acme-{isolation}"), isolation).await;
        let raise = format!("SELECT multitenancy.raise_fence('{}', gen_random_uuid())", acme.id.as_uuid());
        run(&mut owner(&stage, &acme).await, raise).await.unwrap();
        let stopped = write(&stage.store, &acme).await.unwrap_err();
        assert!(stopped.is_retryable() && stopped.retry_after().is_some(), "{stopped:?}");
        write(&stage.store, &acme).await.unwrap();
        assert_eq!(projects(&mut owner(&stage, &acme).await).await, 1);
    }
}

/// Also where the database presets an isolation level that hides later commits from a transaction.
#[tokio::test]
async fn s117_fence_ignores_the_preset_isolation_level() {
    let stage = Stage::new().await;
    let preset = "ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'";
    stage.sql(preset.replace("{database}", &stage.database)).await;
    let store = stage.start().await.unwrap();
    tenant::set_status_3_lets_nothing_commit_in_a_closed_tenant(std::sync::Arc::new(store)).await;
}

/// A unit that is open when a suspended tenant's storage is removed writes nothing among other tenants' rows.
#[tokio::test]
async fn s117_a_removed_tenant_leaves_no_row() {
    let stage = Stage::new().await;
    let acme = stage.tenant("acme", Isolation::Shared).await;
    let mut open = stage.store.begin(&context(&acme)).await.unwrap();
    run(open.conn(), "INSERT INTO projects (name) VALUES ('open')").await.unwrap();
    suspend(&stage.store, &acme).await;
    stage.store.deprovision(&acme).await.unwrap();
    assert_fails(open.commit().await, ErrorKind::Forbidden, "tenant_inactive");
    assert_eq!(projects(&mut owner(&stage, &acme).await).await, 0);
}

/// A schema's fence is removed with it: no unit can write there.
#[tokio::test]
async fn s116_a_tenant_with_a_schema_leaves_no_fence() {
    let stage = Stage::new().await;
    let acme = stage.tenant("acme", Isolation::Schema).await;
    suspend(&stage.store, &acme).await;
    let mut look = stage.connection().await;
    let fences = "SELECT count(*) FROM multitenancy.fences";
    assert_eq!(value::<i64>(&mut look, fences).await.unwrap(), 1);
    stage.store.deprovision(&acme).await.unwrap();
    assert_eq!(value::<i64>(&mut look, fences).await.unwrap(), 0);
}

/// A tenant whose database is lost can still be suspended.
#[tokio::test]
async fn s117_a_tenant_without_storage_is_suspended() {
    let stage = Stage::new().await;
    let acme = stage.tenant("acme", Isolation::Database).await;
    stage.store.deprovision(&acme).await.unwrap();
    suspend(&stage.store, &acme).await;
    assert_fails(write(&stage.store, &acme).await, ErrorKind::Unavailable, "tenant_storage_missing");
    // And can be when its storage exists again.
    stage.store.provision(&Tenant { status: TenantStatus::Suspended, ..acme.clone() }).await.unwrap();
    assert_fails(write(&stage.store, &acme).await, ErrorKind::Forbidden, "tenant_inactive");
}
