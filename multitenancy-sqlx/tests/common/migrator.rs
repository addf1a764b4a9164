use std::borrow::Cow;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// An application's migrations, as `sqlx::migrate!` makes them.
pub fn migrations(scripts: &[&'static str]) -> Migrator {
    let each = |(index, sql): (usize, &&'static str)| migration(index, MigrationType::Simple, sql);
    Migrator::with_migrations(scripts.iter().enumerate().map(each).collect())
}

/// One of them; the first has the index 0.
pub fn migration(index: usize, kind: MigrationType, sql: &'static str) -> Migration {
    let version = i64::try_from(index).unwrap() + 1;
    Migration::new(version, Cow::Owned(format!("step {version}")), kind, sql.into_sql_str(), false)
}
