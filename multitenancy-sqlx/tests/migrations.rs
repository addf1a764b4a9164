//! Migrating many tenants' files to a new schema.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[expect(dead_code, reason = "each test binary uses its part")]
mod common;

use common::url;
use multitenancy_core::{ErrorKind, Store, Tenant, TenantId};
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::fixtures::{context, provisioned};

const FIRST: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
const SECOND: &str = "ALTER TABLE notes ADD COLUMN author TEXT";
const EDITED: &str = "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)";

async fn opened(directory: &tempfile::TempDir, statements: &[&'static str]) -> SqliteStore {
    common::open_with(SqliteStore::builder(&url(directory)), statements).await
}

/// E20: a tenant at another schema than the program's is not served.
async fn assert_outdated(store: &SqliteStore, tenant: &Tenant) {
    for outcome in
        [store.begin(&context(tenant)).await.map(drop), store.read(&context(tenant)).await.map(drop)]
    {
        let error = outcome.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("tenant_upgrading", ErrorKind::Unavailable), "{error:?}");
    }
}

async fn has_author(store: &SqliteStore, tenant: &Tenant) -> bool {
    let mut tx = store.read(&context(tenant)).await.unwrap();
    let sql = "SELECT COUNT(*) FROM pragma_table_info('notes') WHERE name = 'author'";
    sqlx::query_scalar::<_, i64>(sql).fetch_one(tx.conn()).await.unwrap() == 1
}

/// When a tenant's file was last written.
fn written(directory: &tempfile::TempDir, id: TenantId) -> std::time::SystemTime {
    let file = directory.path().join("tenants").join(format!("{id}.db"));
    file.metadata().unwrap().modified().unwrap()
}

#[tokio::test]
async fn new_migration_reaches_every_tenant_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory, &[FIRST]).await;
    let mut tenants = Vec::new();
    for index in 0..20 {
        tenants.push(provisioned(&store, &format!("tenant-{index}")).await);
    }
    drop(store);

    let store = opened(&directory, &[FIRST, SECOND]).await;
    assert_outdated(&store, &tenants[0]).await;
    store.migrate().await.unwrap();
    for tenant in &tenants {
        assert!(has_author(&store, tenant).await);
    }
    // A tenant created from now on has it too.
    assert!(has_author(&store, &provisioned(&store, "newcomer").await).await);
    drop(store);

    let before: Vec<_> = tenants.iter().map(|tenant| written(&directory, tenant.id)).collect();
    let store = opened(&directory, &[FIRST, SECOND]).await;
    store.migrate().await.unwrap();
    let after: Vec<_> = tenants.iter().map(|tenant| written(&directory, tenant.id)).collect();
    assert_eq!(before, after, "those that are current are not opened");
}

/// A tenant that cannot be migrated is named, and the others are still migrated; after the fix, the next run migrates
/// it.
#[tokio::test]
async fn one_failure_does_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory, &[FIRST]).await;
    let mut tenants = Vec::new();
    for index in 0..5 {
        tenants.push(provisioned(&store, &format!("tenant-{index}")).await);
    }
    in_file(&store, &tenants[2], SECOND).await;
    drop(store);

    let store = opened(&directory, &[FIRST, SECOND]).await;
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.code(), "tenants_not_migrated");
    assert_eq!(error.to_string(), format!("1 of 5 tenants could not be migrated: {}", tenants[2].id));
    for index in [0, 1, 3, 4] {
        assert!(has_author(&store, &tenants[index]).await);
    }
    assert_outdated(&store, &tenants[2]).await;
    drop(store);

    let store = opened(&directory, &[FIRST]).await;
    in_file(&store, &tenants[2], "ALTER TABLE notes DROP COLUMN author").await;
    drop(store);
    let store = opened(&directory, &[FIRST, SECOND]).await;
    store.migrate().await.unwrap();
    assert!(has_author(&store, &tenants[2]).await);
}

/// E20: a file restored from an older backup is refused, and migrated by the next run, although the registry recorded
/// it as current.
#[tokio::test]
async fn e20_a_restored_file_is_brought_forward() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory, &[FIRST]).await;
    let tenant = provisioned(&store, "acme").await;
    drop(store);
    let file = directory.path().join("tenants").join(format!("{}.db", tenant.id));
    let backup = directory.path().join("backup.db");
    std::fs::copy(&file, &backup).unwrap();
    let store = opened(&directory, &[FIRST, SECOND]).await;
    store.migrate().await.unwrap();
    drop(store);
    std::fs::copy(&backup, &file).unwrap();

    let store = opened(&directory, &[FIRST, SECOND]).await;
    store.migrate().await.unwrap();
    assert_outdated(&store, &tenant).await;
    store.migrate().await.unwrap();
    assert!(has_author(&store, &tenant).await);
}

/// E20: the registry is not served at another schema either; opening a store does not change it.
#[tokio::test]
async fn e20_an_outdated_registry_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let builder = || SqliteStore::builder(&url(&directory));
    drop(builder().connect().await.unwrap());
    let store = builder().control_migrations(common::migrations(&[FIRST])).connect().await.unwrap();
    assert_eq!(store.ping().await.unwrap_err().code(), "tenant_upgrading");
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
}

async fn in_file(store: &SqliteStore, tenant: &Tenant, sql: &'static str) {
    let mut tx = store.begin(&context(tenant)).await.unwrap();
    sqlx::query(sql).execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
}

/// A migration edited after it ran is an error, not a silent difference.
#[tokio::test]
async fn an_edited_migration_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory, &[FIRST]).await;
    let tenant = provisioned(&store, "acme").await;
    drop(store);
    let store = opened(&directory, &[EDITED]).await;
    assert!(store.migrate().await.unwrap_err().to_string().contains(&tenant.id.to_string()));
}

/// The application has its own history: version 1 of both does not collide, and neither do the tables.
#[tokio::test]
async fn the_application_has_a_history_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(&directory, &["CREATE TABLE users (id INTEGER PRIMARY KEY)"]).await;
    let tenant = provisioned(&store, "acme").await;
    let mut tx = store.read(&context(&tenant)).await.unwrap();
    let sql =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(tx.conn()).await.unwrap();
    let own: Vec<_> = tables.iter().filter(|name| !name.starts_with("multitenancy_")).collect();
    assert_eq!(own, ["_sqlx_migrations", "users"]);
}
