//! Shared by the tests of this crate.

use std::{borrow::Cow, path::Path, sync::Arc};

use multitenancy_core::{
    ControlContext, ControlTransaction, Isolation, Store, Tenant, TenantContext, TenantId, UnitOfWork,
    UserId,
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

/// A store whose tenants have a table of notes.
pub async fn open(builder: SqliteStoreBuilder) -> SqliteStore {
    open_with(builder, &["CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"]).await
}

/// A store whose tenants have the tables of an application with these migrations.
pub async fn open_with(builder: SqliteStoreBuilder, statements: &[&'static str]) -> SqliteStore {
    builder.tenant_migrations(migrations(statements)).connect().await.unwrap()
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
