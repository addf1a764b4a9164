//! S117: when a suspension has returned, nothing of its tenant commits. What every store is tested for besides is in the
//! suite's cases `set_status_3…` and `suspending`.

use std::time::Duration;

use multitenancy_core::{
    ControlContext, ControlTransaction, Error, ErrorKind, Isolation, Store, Tenant, UnitOfWork,
    tenant::TenantStatus,
};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::{assert_fails, fixtures::context, tenant};
use sqlx::PgConnection;

use crate::{
    isolation::{ISOLATIONS, owner},
    stage::{Stage, run, value},
    watch::eventually,
};

async fn set_status(store: &PgStore, tenant: &Tenant, from: TenantStatus, to: TenantStatus) {
    let mut unit = store.control(&ControlContext::system("test")).await.unwrap();
    assert!(unit.tenants().set_status(tenant.id, from, to, store.environment().now()).await.unwrap());
    Box::new(unit).commit().await.unwrap();
}

async fn suspend(store: &PgStore, tenant: &Tenant) {
    set_status(store, tenant, TenantStatus::Active, TenantStatus::Suspended).await;
}

async fn write(store: &PgStore, tenant: &Tenant) -> Result<(), Error> {
    let mut unit = store.begin(&context(tenant)).await?;
    run(unit.conn(), "INSERT INTO projects (name) VALUES ('written')").await.unwrap();
    unit.commit().await
}

async fn projects(owner: &mut PgConnection) -> i64 {
    value(owner, "SELECT count(*) FROM projects").await.unwrap()
}

/// What is committed when a suspension begins, and it takes long, is there when that returns.
#[tokio::test]
async fn s117_a_suspension_waits_for_what_is_being_committed() {
    for isolation in ISOLATIONS {
        assert_eq!(seen_by_a_suspension(isolation, "").await, (1, 1), "{isolation:?}");
    }
    // The control: a COMMIT that looks, and takes no lock.
    let looks = "CREATE OR REPLACE FUNCTION multitenancy.pass_fence() RETURNS void LANGUAGE plpgsql AS
                 'BEGIN IF EXISTS (SELECT FROM multitenancy.fences) THEN RAISE SQLSTATE ''MT117''; END IF; END'";
    assert_eq!(seen_by_a_suspension(Isolation::Shared, looks).await, (0, 1));
}

/// How many rows there are when the suspension has returned, and how many in the end.
async fn seen_by_a_suspension(isolation: Isolation, sabotage: &str) -> (i64, i64) {
    let stage = Stage::new().await;
    let acme = stage.tenant("acme", isolation).await;
    let mut owner = owner(&stage, &acme).await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON projects DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION slow()";
    run(&mut owner, slow).await.unwrap();
    run(&mut owner, sabotage).await.unwrap();
    let (store, tenant) = (stage.store.clone(), acme.clone());
    let writing = tokio::spawn(async move { write(&store, &tenant).await });
    let committing =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    eventually("it is being committed", Duration::from_secs(10), async || {
        value::<i64>(&mut owner, committing).await.unwrap() == 1
    })
    .await;
    suspend(&stage.store, &acme).await;
    let seen = projects(&mut owner).await;
    writing.await.unwrap().unwrap();
    (seen, projects(&mut owner).await)
}

/// A process that has yet to hear of it commits nothing either.
#[tokio::test]
async fn s117_another_process_commits_nothing_either() {
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

/// A process that ended while it suspended has left a fence around a tenant that is active: whoever is stopped by it may try
/// again, and is not stopped twice.
#[tokio::test]
async fn s117_a_fence_that_was_left_is_lowered() {
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

/// Also where the database presets transactions that see nothing of what was committed after they began.
#[tokio::test]
async fn s117_whatever_isolation_level_is_preset() {
    let stage = Stage::new().await;
    let preset = "ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'";
    stage.sql(preset.replace("{database}", &stage.database)).await;
    let store = stage.start().await.unwrap();
    tenant::set_status_3_lets_nothing_commit_in_a_closed_tenant(std::sync::Arc::new(store)).await;
}

/// What is removed with a tenant is its fence too.
#[tokio::test]
async fn s116_a_tenant_leaves_no_fence() {
    let stage = Stage::new().await;
    for isolation in [Isolation::Shared, Isolation::Schema] {
        let acme = stage.tenant(&format!("acme-{isolation}"), isolation).await;
        suspend(&stage.store, &acme).await;
        let fences = "SELECT count(*) FROM multitenancy.fences";
        assert_eq!(value::<i64>(&mut stage.connection().await, fences).await.unwrap(), 1);
        stage.store.deprovision(&acme).await.unwrap();
        assert_eq!(value::<i64>(&mut stage.connection().await, fences).await.unwrap(), 0);
    }
}

/// A tenant whose database is lost can be suspended all the same.
#[tokio::test]
async fn s117_a_tenant_without_storage_is_suspended() {
    let stage = Stage::new().await;
    let acme = stage.tenant("acme", Isolation::Database).await;
    stage.store.deprovision(&acme).await.unwrap();
    suspend(&stage.store, &acme).await;
    assert_fails(write(&stage.store, &acme).await, ErrorKind::Unavailable, "tenant_storage_missing");
}
