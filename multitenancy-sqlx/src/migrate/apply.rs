//! Migrates one plane's storage to a version. Each step, its history row and the marker of the storage are written in
//! one transaction. So whenever the process ends, the storage is at one step or at the next.

use multitenancy_core::{Error, Result, environment::monotonic, store::fleet::Outcome};
use sqlx::{
    AssertSqlSafe,
    migrate::{Migrate, Migrator},
};

use super::{
    Applied, IfMissing, Step, UNDERWAY,
    engine::Connection,
    error::{no_such_table, store_error},
    location::StorageLocation,
    schema::{Schema, missing},
};

impl Schema {
    /// Migrates `location` to `version` and marks it as `done`. The caller's connection leads to `location` and holds
    /// its lock. After an error the connection may be inside a transaction: close it.
    pub async fn migrate(
        &self,
        connection: &mut Connection,
        location: StorageLocation,
        version: i64,
        if_missing: IfMissing,
        done: &str,
    ) -> Result<Outcome> {
        let goal = self.migrations.fingerprint_at(version)?;
        let marker = self.marker(connection, location.plane()).await?;
        match &marker {
            None if if_missing == IfMissing::Fail => return Err(missing(location.plane())),
            Some(marker) if marker == goal => return Ok(Outcome::Current),
            _ => {}
        }
        let applied = match self.applied(connection).await {
            Err(error) if no_such_table(&error) => {
                for history in self.migrations.histories() {
                    prepare(connection, history).await.map_err(Error::internal)?;
                }
                self.applied(connection).await
            }
            other => other,
        };
        let applied = applied.map_err(store_error)?;
        let plan = self.migrations.plan(&applied, version)?;
        for (index, step) in plan.steps.iter().enumerate() {
            // The fingerprint is complete with the last step.
            let last = index + 1 == plan.steps.len();
            self.take(connection, location, step, last.then_some(done)).await?;
        }
        if plan.steps.is_empty() {
            begin(connection).await.map_err(store_error)?;
            self.grant(connection, location).await.map_err(store_error)?;
            self.mark(connection, location, done).await.map_err(store_error)?;
            commit(connection).await.map_err(store_error)?;
        }
        Ok(Outcome::Migrated { from: plan.from, to: version })
    }

    /// The applied migrations of the storage on this connection, history by history.
    pub async fn applied(&self, connection: &mut Connection) -> sqlx::Result<Vec<Applied>> {
        let select = |(index, history): (usize, &Migrator)| {
            format!(
                "SELECT {index} AS history, version, description, installed_on, checksum, execution_time FROM {}",
                history.table_name
            )
        };
        let selects: Vec<_> = self.migrations.histories().iter().enumerate().map(select).collect();
        let sql = format!("{} ORDER BY history, version", selects.join(" UNION ALL "));
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await
    }

    async fn take(
        &self,
        connection: &mut Connection,
        location: StorageLocation,
        step: &Step<'_>,
        done: Option<&str>,
    ) -> Result<()> {
        self.try_step(connection, location, step, done).await.map_err(|error| {
            let migration = step.migration;
            let (verb, version, name) =
                (migration.migration_type.label(), migration.version, &migration.description);
            match error.as_database_error() {
                None => store_error(error),
                Some(_) => Error::config(format!("{verb} {version} ({name}) of {location} failed: {error}"))
                    .with_source(error),
            }
        })
    }

    async fn try_step(
        &self,
        connection: &mut Connection,
        location: StorageLocation,
        Step { history, migration }: &Step<'_>,
        done: Option<&str>,
    ) -> sqlx::Result<()> {
        // A step outside a transaction may be left incomplete: no unit is served meanwhile.
        if migration.no_tx {
            self.mark(connection, location, UNDERWAY).await?;
        } else {
            begin(connection).await?;
        }
        let start = monotonic();
        sqlx::raw_sql(migration.sql.clone()).execute(&mut *connection).await?;
        self.stay(connection, location).await?;
        let took = i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX);
        if migration.no_tx {
            begin(connection).await?;
        }
        let table = &history.table_name;
        if migration.migration_type.is_down_migration() {
            sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE version = $1")))
                .bind(migration.version)
                .execute(&mut *connection)
                .await?;
        } else {
            let sql = format!(
                "INSERT INTO {table} (version, description, success, checksum, execution_time) \
                 VALUES ($1, $2, TRUE, $3, $4)"
            );
            sqlx::query(AssertSqlSafe(sql))
                .bind(migration.version)
                .bind(&*migration.description)
                .bind(&*migration.checksum)
                .bind(took)
                .execute(&mut *connection)
                .await?;
        }
        if done.is_some() {
            self.grant(connection, location).await?;
        }
        self.mark(connection, location, done.unwrap_or(UNDERWAY)).await?;
        commit(connection).await
    }
}

/// Creates a history table, as sqlx does.
async fn prepare(connection: &mut Connection, history: &Migrator) -> Result<(), sqlx::migrate::MigrateError> {
    for schema in history.create_schemas.iter() {
        connection.create_schema_if_not_exists(schema).await?;
    }
    connection.ensure_migrations_table(&history.table_name).await
}

async fn begin(connection: &mut Connection) -> sqlx::Result<()> {
    sqlx::raw_sql("BEGIN").execute(connection).await.map(drop)
}

async fn commit(connection: &mut Connection) -> sqlx::Result<()> {
    sqlx::raw_sql("COMMIT").execute(connection).await.map(drop)
}
