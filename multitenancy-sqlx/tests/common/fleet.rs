//! The guarantees of migrating many tenants, on every engine.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use multitenancy_core::{
    ErrorKind, Isolation, Store, Tenant, TenantId,
    store::fleet::{
        DriftKind, FleetOptions, FleetReport, FleetState, FleetStatus, Outcome, Progress, Target, Tenants,
    },
};
use multitenancy_testkit::{
    fixtures::{context, provisioned_in},
    smoke_or,
};
use sqlx::migrate::{MigrationType, Migrator};

use crate::migrator::{migration, migrations};

/// The place where programs with other migrations find the same tenants.
#[async_trait]
pub trait Deployment: Sync {
    fn isolation(&self) -> Isolation;

    /// The version of the program with these migrations.
    async fn open(&self, migrations: Migrator) -> Arc<dyn Store>;

    /// Closes the program, if only one can run at a time.
    fn close(&self, store: Arc<dyn Store>);

    /// Runs SQL in a tenant's storage, without the programs' knowledge.
    async fn sql(&self, tenant: &Tenant, sql: &'static str);

    /// Removes a tenant's storage, and restores it.
    async fn hide(&self, tenant: &Tenant, hidden: bool);

    /// The number of tenants in each test.
    fn size(&self) -> usize;

    /// Creates the application's first table.
    fn first(&self) -> &'static str;

    /// Creates the second table, of tags.
    fn tags(&self) -> &'static str;
}

/// The application's migrations, each with its down script.
pub fn reversible(scripts: &[(&'static str, &'static str)]) -> Migrator {
    let each = |(index, (up, down)): (usize, &(&'static str, &'static str))| {
        [(MigrationType::ReversibleUp, *up), (MigrationType::ReversibleDown, *down)]
            .map(|(kind, sql)| migration(index, kind, sql))
    };
    Migrator::with_migrations(scripts.iter().enumerate().flat_map(each).collect())
}

/// Three versions of an application.
pub fn three(deployment: &dyn Deployment, versions: usize) -> Migrator {
    let all = [
        (deployment.first(), "DROP TABLE notes"),
        ("ALTER TABLE notes ADD COLUMN author TEXT", "ALTER TABLE notes DROP COLUMN author"),
        ("ALTER TABLE notes ADD COLUMN mood TEXT", "ALTER TABLE notes DROP COLUMN mood"),
    ];
    reversible(&all[..versions])
}

pub async fn tenants(store: &dyn Store, isolation: Isolation, count: usize) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for index in 0..count {
        tenants.push(provisioned_in(store, &format!("tenant-{index}"), isolation).await);
    }
    tenants
}

pub fn to(target: Target) -> FleetOptions {
    FleetOptions { target, ..FleetOptions::default() }
}

pub fn only(tenant: &Tenant, target: Target) -> FleetOptions {
    FleetOptions { tenants: Tenants::Only(vec![tenant.id]), ..to(target) }
}

pub async fn migrate(store: &dyn Store, options: &FleetOptions) -> FleetReport {
    store.fleet().migrate_all(options).await.unwrap().finish().await
}

pub async fn status(store: &dyn Store) -> Vec<FleetStatus> {
    store.fleet().status(&Tenants::All).await.unwrap()
}

async fn state(store: &dyn Store, tenant: &Tenant) -> FleetState {
    let mut found = store.fleet().status(&Tenants::Only(vec![tenant.id])).await.unwrap();
    found.pop().unwrap().state.unwrap()
}

pub async fn refusal(store: &dyn Store, tenant: &Tenant) -> Option<&'static str> {
    let (write, read) = (store.begin(&context(tenant)).await, store.read(&context(tenant)).await);
    let codes = [write.map(drop), read.map(drop)].map(|outcome| {
        outcome
            .err()
            .inspect(|error| assert_eq!(error.kind(), ErrorKind::Unavailable))
            .map(|error| error.code())
    });
    assert_eq!(codes[0], codes[1], "writers and readers get the same error");
    codes[0]
}

async fn assert_served(store: &dyn Store, tenants: &[Tenant]) {
    for tenant in tenants {
        assert_eq!(refusal(store, tenant).await, None, "{}", tenant.slug);
    }
}

const UPGRADING: Option<&str> = Some("tenant_upgrading");

/// E20: one of many tenants fails. The others are migrated; the failed one is named with its cause and refused. After
/// the fix, the next run migrates it.
pub async fn e20_one_failing_tenant_does_not_stop_others(deployment: &dyn Deployment) {
    let n = deployment.size();
    let store = deployment.open(migrations(&[deployment.first()])).await;
    let tenants = tenants(&*store, deployment.isolation(), n).await;
    let bad = &tenants[n / 2];
    deployment.sql(bad, deployment.tags()).await;
    deployment.close(store);

    let store = deployment.open(migrations(&[deployment.first(), deployment.tags()])).await;
    assert_eq!(refusal(&*store, &tenants[0]).await, UPGRADING);
    let mut run = store.fleet().migrate_all(&FleetOptions::default()).await.unwrap();
    assert_eq!((run.skipped(), run.of()), (0, n));
    let mut seen = BTreeSet::new();
    while let Some(Progress { tenant, done, of, outcome }) = run.next().await {
        assert!(seen.insert(tenant.id));
        assert_eq!((done, of), (seen.len(), n));
        match outcome {
            Outcome::Failed(error) => {
                assert_eq!((tenant.id, &tenant.slug), (bad.id, &bad.slug));
                let told = error.to_string();
                assert!(told.contains("migrate 2 (step 2)") && told.contains("already exists"), "{told}");
            }
            other @ (Outcome::Current | Outcome::Migrated { .. }) => {
                assert!(matches!(other, Outcome::Migrated { from: 1, to: 2 }), "{other:?}");
                assert_ne!(tenant.id, bad.id);
            }
        }
    }
    let report = run.finish().await;
    assert_eq!((report.migrated, report.current, report.failed.len()), (n - 1, 0, 1));
    assert_eq!(report.into_result().unwrap_err().code(), "tenants_not_migrated");
    assert_eq!(refusal(&*store, bad).await, UPGRADING);
    for tenant in tenants.iter().filter(|tenant| tenant.id != bad.id) {
        assert_eq!(refusal(&*store, tenant).await, None);
    }

    let again = migrate(&*store, &FleetOptions::default()).await;
    assert_eq!((again.skipped, again.migrated, again.failed.len()), (n - 1, 0, 1));
    deployment.sql(bad, "DROP TABLE tags").await;
    let repaired = migrate(&*store, &FleetOptions::default()).await;
    assert_eq!((repaired.skipped, repaired.migrated, repaired.failed.len()), (n - 1, 1, 0));
    assert_served(&*store, &tenants).await;
}

/// E20: a run dropped after any of its items leaves no partial state, and the next run completes it.
pub async fn e20_a_dropped_run_is_completed_by_the_next(deployment: &dyn Deployment) {
    const N: usize = 5;
    let store = deployment.open(three(deployment, 3)).await;
    let tenants = tenants(&*store, deployment.isolation(), N).await;
    for seen in 0..=N {
        for (target, version) in [(Target::Version(1), 1), (Target::Newest, 3)] {
            let mut run = store.fleet().migrate_all(&to(target)).await.unwrap();
            for _ in 0..seen {
                run.next().await.unwrap();
            }
            drop(run);
            let report = migrate(&*store, &to(target)).await;
            assert_eq!(report.skipped + report.current + report.migrated, N, "{seen}: {:?}", report.failed);
            for found in status(&*store).await {
                let state = found.state.unwrap();
                assert_eq!((state.applied, state.current), (version, version == 3));
            }
            let refused = if version == 3 { None } else { UPGRADING };
            assert_eq!(refusal(&*store, &tenants[seen % N]).await, refused);
        }
    }
}

/// Tenants recorded as current are not touched: their storage may even be missing. The control: with work to do,
/// missing storage is an error and is not created again.
pub async fn current_tenants_are_not_touched(deployment: &dyn Deployment) {
    let store = deployment.open(three(deployment, 1)).await;
    let tenants = tenants(&*store, deployment.isolation(), 3).await;
    deployment.close(store);
    let store = deployment.open(three(deployment, 1)).await;
    deployment.hide(&tenants[1], true).await;
    let report = migrate(&*store, &FleetOptions::default()).await;
    assert_eq!((report.skipped, report.failed.len()), (3, 0));
    deployment.close(store);

    let store = deployment.open(three(deployment, 2)).await;
    let report = migrate(&*store, &FleetOptions::default()).await;
    let away = if deployment.isolation() == Isolation::Shared { 3 } else { 1 };
    assert_eq!((report.migrated, report.failed.len()), (3 - away, away));
    assert!(report.failed.iter().all(|failure| failure.error.code() == "tenant_storage_missing"));
    assert!(status(&*store).await[1].state.is_err(), "reported in its place");
    deployment.hide(&tenants[1], false).await;
    assert_eq!(migrate(&*store, &FleetOptions::default()).await.migrated, away);
    assert_served(&*store, &tenants).await;
}

/// A migration that was edited after it was applied, or is missing from the program, is reported per tenant, and
/// stops only that tenant.
pub async fn drift_is_reported_and_stops_its_tenant(deployment: &dyn Deployment) {
    let store = deployment.open(three(deployment, 2)).await;
    let tenants = tenants(&*store, deployment.isolation(), 3).await;
    assert!(status(&*store).await.iter().all(|found| found.state.as_ref().unwrap().drift.is_empty()));
    deployment
        .sql(
            &tenants[1],
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 99, 'tried out', success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1; \
             UPDATE _sqlx_migrations SET checksum = \
             (SELECT checksum FROM _sqlx_migrations WHERE version = 2) WHERE version = 1",
        )
        .await;
    let edited = (1, "step 1".to_owned(), DriftKind::Edited);
    let missing = (99, "tried out".to_owned(), DriftKind::Missing);
    let shared = deployment.isolation() == Isolation::Shared;
    for found in status(&*store).await {
        let state = found.state.unwrap();
        let drift: Vec<_> =
            state.drift.into_iter().map(|drift| (drift.version, drift.description, drift.kind)).collect();
        let hit = shared || found.tenant.id == tenants[1].id;
        assert_eq!(drift, if hit { vec![edited.clone(), missing.clone()] } else { vec![] });
    }
    let history = store.fleet().history(tenants[1].id).await.unwrap();
    let told: Vec<_> = history.iter().map(|entry| (entry.version, entry.drift)).collect();
    assert_eq!(told, [(1, Some(DriftKind::Edited)), (2, None), (99, Some(DriftKind::Missing))]);
    deployment.close(store);

    let store = deployment.open(three(deployment, 3)).await;
    let report = migrate(&*store, &FleetOptions::default()).await;
    let stopped = if shared { 3 } else { 1 };
    assert_eq!((report.migrated, report.failed.len()), (3 - stopped, stopped));
    assert_eq!(
        report.failed[0].error.to_string(),
        "migration 1 (step 1) was edited after it was applied; \
         migration 99 (tried out) was applied, and is missing from this program"
    );
    assert_eq!(state(&*store, &tenants[1]).await.pending, 1, "nothing was applied");
}

/// Up, down, to a version, status and history, for one tenant and for all. A tenant at another version than the
/// program's is refused at once, also by the process that migrated it, and served by the program of that version.
pub async fn tenants_go_up_and_down(deployment: &dyn Deployment) {
    let isolation = deployment.isolation();
    let store = deployment.open(three(deployment, 3)).await;
    let tenants = tenants(&*store, isolation, 3).await;
    let (first, second) = (&tenants[0], &tenants[1]);
    assert_served(&*store, &tenants).await;

    if isolation == Isolation::Shared {
        let refused = store.fleet().migrate_all(&only(first, Target::Version(1))).await.unwrap_err();
        assert!(refused.to_string().contains("share their tables"), "{refused}");
        assert_served(&*store, &tenants).await;
    } else {
        let report = migrate(&*store, &only(first, Target::Version(1))).await;
        assert_eq!((report.skipped, report.migrated), (0, 1));
        assert_eq!(refusal(&*store, first).await, UPGRADING);
        assert_eq!(refusal(&*store, second).await, None);
        let state = state(&*store, first).await;
        assert_eq!((state.applied, state.newest, state.pending, state.current), (1, 3, 2, false));
        assert_eq!(store.fleet().history(first.id).await.unwrap().len(), 1);
        // One step down for all is the same step for each: a tenant already below it stays.
        let report = migrate(&*store, &to(Target::Previous)).await;
        assert_eq!((report.skipped, report.migrated, report.failed.len()), (0, 3, 0));
        let report = migrate(&*store, &only(first, Target::Newest)).await;
        assert_eq!(report.migrated, 1);
        assert_eq!(refusal(&*store, first).await, None);
    }

    let report = migrate(&*store, &to(Target::Newest)).await;
    assert!(report.failed.is_empty());
    for version in [2, 1, 0, 0] {
        let report = migrate(&*store, &to(Target::Previous)).await;
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        for found in status(&*store).await {
            let state = found.state.unwrap();
            assert_eq!((state.applied, state.pending, state.current), (version, 3 - version as usize, false));
        }
        assert_eq!(refusal(&*store, second).await, UPGRADING);
    }
    let unknown = store.fleet().migrate_all(&to(Target::Version(7))).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Config);
    let unknown = TenantId::generate(store.environment());
    let options = FleetOptions { tenants: Tenants::Only(vec![unknown]), ..FleetOptions::default() };
    for error in [
        store.fleet().migrate_all(&options).await.map(drop).unwrap_err(),
        store.fleet().status(&options.tenants).await.map(drop).unwrap_err(),
        store.fleet().history(unknown).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code(), "tenant_not_found");
    }

    let report = migrate(&*store, &to(Target::Version(2))).await;
    assert_eq!(report.migrated, 3);
    let history = store.fleet().history(second.id).await.unwrap();
    let told: Vec<_> = history.iter().map(|entry| (entry.version, &*entry.description)).collect();
    assert_eq!(told, [(1, "step 1"), (2, "step 2")]);
    assert!(
        history.iter().all(|entry| entry.drift.is_none() && entry.applied_at <= store.environment().now())
    );
    deployment.close(store);
    let older = deployment.open(three(deployment, 2)).await;
    assert_served(&*older, &tenants).await;
    deployment.close(older);
    let newer = deployment.open(three(deployment, 3)).await;
    assert_eq!(refusal(&*newer, first).await, UPGRADING);
    newer.migrate().await.unwrap();
    assert_served(&*newer, &tenants).await;
}

/// A migration without a down script is refused before any change.
pub async fn irreversible_migration_stays(deployment: &dyn Deployment) {
    let scripts = [deployment.first(), "ALTER TABLE notes ADD COLUMN author TEXT", deployment.tags()];
    let mut migrations = migrations(&scripts).migrations.to_vec();
    migrations.push(migration(2, MigrationType::ReversibleDown, "DROP TABLE tags"));
    let store = deployment.open(Migrator::with_migrations(migrations)).await;
    let tenants = tenants(&*store, deployment.isolation(), 2).await;
    let report = migrate(&*store, &to(Target::Version(1))).await;
    assert_eq!(report.failed.len(), 2);
    let told = report.failed[0].error.to_string();
    assert!(told.starts_with("migration 2 (step 2) cannot be reverted"), "{told}");
    assert_served(&*store, &tenants).await;
    // The control: its neighbour can be reverted.
    assert_eq!(migrate(&*store, &to(Target::Previous)).await.migrated, 2);
}

/// Several runs may start at once: each tenant is migrated by one of them, and all of them succeed.
pub async fn many_start_at_once(deployment: &dyn Deployment, stores: [Arc<dyn Store>; 2]) {
    let tenants = tenants(&*stores[0], deployment.isolation(), 3).await;
    for round in 0..smoke_or(5, 20) {
        for target in [Target::Version(1), Target::Newest] {
            let options = to(target);
            let [one, other] = &stores;
            let (one, other) = tokio::join!(migrate(&**one, &options), migrate(&**other, &options));
            let failed: Vec<_> = one.failed.iter().chain(&other.failed).collect();
            assert!(failed.is_empty(), "{round}: {failed:?}");
            assert_eq!(one.migrated + other.migrated, tenants.len(), "{round}: {one:?} {other:?}");
        }
        for store in &stores {
            assert_served(&**store, &tenants).await;
        }
    }
}
