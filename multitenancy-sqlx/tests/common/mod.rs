//! Shared by the tests of this crate.
#![expect(dead_code, reason = "each test binary uses its part")]

use std::{borrow::Cow, path::Path, sync::Arc};

use multitenancy_core::{
    ControlContext, ControlTransaction, Isolation, Store, Tenant, TenantContext, TenantId, UnitOfWork, UserId,
    tenant::{Plan, TenantSettings, TenantStatus},
};
use multitenancy_sqlx::{SqliteStore, SqliteStoreBuilder};
use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// The URL of a store in `directory`.
pub fn url(directory: impl AsRef<Path>) -> String {
    format!("sqlite:{}", directory.as_ref().display())
}

/// An application's migrations, as `sqlx::migrate!` makes them.
pub fn migrations(statements: &[&'static str]) -> Migrator {
    let migration = |(index, sql): (usize, &&'static str)| {
        let version = i64::try_from(index).unwrap() + 1;
        Migration::new(version, Cow::Borrowed("test"), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(statements.iter().enumerate().map(migration).collect())
}

/// A migrated store whose tenants have a table of notes.
pub async fn open(builder: SqliteStoreBuilder) -> SqliteStore {
    let notes = migrations(&["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"]);
    let store = builder.tenant_migrations(notes).connect().await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// A tenant that is not stored yet.
pub fn tenant(store: &SqliteStore, slug: &str) -> Tenant {
    let environment = store.environment();
    let now = environment.now();
    Tenant {
        id: TenantId::generate(environment),
        name: slug.parse().unwrap(),
        slug: slug.parse().unwrap(),
        domain: None,
        plan: Plan::default(),
        status: TenantStatus::Active,
        isolation: Isolation::Database,
        owner_id: UserId::generate(environment),
        settings: TenantSettings::default(),
        created_at: now,
        updated_at: now,
    }
}

/// An active tenant with its storage.
pub async fn registered(store: &SqliteStore, slug: &str) -> Tenant {
    let tenant = tenant(store, slug);
    let mut unit = store.control(&ControlContext::system("test")).await.unwrap();
    unit.tenants().insert(&tenant).await.unwrap();
    Box::new(unit).commit().await.unwrap();
    store.provision(&tenant).await.unwrap();
    tenant
}

/// The system's work in `tenant`.
pub fn context(tenant: &Tenant) -> TenantContext {
    TenantContext::system(Arc::new(tenant.clone()), "test")
}
