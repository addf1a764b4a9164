//! Work that units of work must not do: creating roles, schemas and databases. It uses its own connections, with the
//! rights it needs.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::TryFutureExt;
use multitenancy_core::{Isolation, Result, Tenant, TenantId, store::fleet::Outcome};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};

use super::migrate::{IfMissing, UNDERWAY};
use super::{
    audit::{self, AuditOptions, Fault},
    engine::execute,
    error::{is, store_error},
    location::{APP_ROLE, StorageLocation},
    schema::{self, Schema},
};
use crate::pool::{close, opening};

#[derive(Debug)]
pub(super) struct Admin {
    pub options: PgConnectOptions,
    pub audit: AuditOptions,
    /// The fingerprint of the last tenant schema after which an audit found the whole database safe.
    safe: Mutex<Option<String>>,
}

impl Admin {
    pub fn new(options: PgConnectOptions, audit: AuditOptions) -> Self {
        Self { options, audit, safe: Mutex::default() }
    }

    /// Creates the role that units of work run as, if it does not exist.
    pub async fn make_role(&self) -> Result<()> {
        let mut connection = self.connect(StorageLocation::Control).await?;
        // Several stores may start at once: a role created by another store is equally good.
        let made = execute(
            &mut connection,
            AssertSqlSafe(format!(
                "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN \
                 CREATE ROLE {APP_ROLE} NOLOGIN; END IF; \
                 EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )),
        );
        made.await.map_err(store_error)?;
        close(connection).await;
        Ok(())
    }

    /// Migrates `location`, on a connection to its database, to a version of `schema`. The connection holds the lock
    /// of the location until it moves to another one. After an error, close the connection.
    pub async fn migrate(
        &self,
        connection: &mut PgConnection,
        location: StorageLocation,
        schema: &Schema,
        version: i64,
        if_missing: IfMissing,
    ) -> Result<Outcome> {
        enter(connection, location).await?;
        match location {
            StorageLocation::Control | StorageLocation::Database(_) => {
                schema::prepare_database(connection).await?;
            }
            StorageLocation::Shared | StorageLocation::Schema(_) if if_missing == IfMissing::Create => {
                let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", location.schema());
                execute(connection, AssertSqlSafe(sql)).await.map_err(store_error)?;
            }
            StorageLocation::Shared | StorageLocation::Schema(_) => {}
        }
        if if_missing == IfMissing::Create && location.tenant().is_some() {
            schema.refuse_others(connection, location.plane()).await?;
        }
        let goal = schema.migrations.fingerprint_at(version)?;
        // An audit reads the catalogue of the whole database. All its schemas have the same migrations, so only the
        // first migrated schema pays for the audit.
        let audits = !matches!(location, StorageLocation::Schema(_)) || self.safe().as_deref() != Some(goal);
        // A process that ends before the audit leaves storage that no unit is served from; the next migration audits
        // it.
        let done = if audits { UNDERWAY } else { goal };
        let outcome = schema.migrate(connection, location, version, if_missing, done).await?;
        let made = matches!(location, StorageLocation::Database(_)) && if_missing == IfMissing::Create;
        if audits && (made || !matches!(outcome, Outcome::Current)) {
            let faults = audit::examine(connection, &self.audit).await?;
            if let Err(unsafe_) = audit::ensure_safe(&faults) {
                schema.mark(connection, location, UNDERWAY).await.map_err(store_error)?;
                return Err(unsafe_);
            }
            schema.mark(connection, location, goal).await.map_err(store_error)?;
            if let StorageLocation::Schema(_) = location {
                *self.safe() = Some(goal.to_owned());
            }
        }
        Ok(outcome)
    }

    fn safe(&self) -> MutexGuard<'_, Option<String>> {
        self.safe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a tenant to the shared tables at `location`, if they are at `schema`.
    pub async fn admit(
        &self,
        connection: &mut PgConnection,
        location: StorageLocation,
        schema: &Schema,
        tenant: TenantId,
    ) -> Result<()> {
        enter(connection, location).await?;
        schema.check(connection, location.plane()).await?;
        sqlx::query(
            "INSERT INTO multitenancy_marker (tenant_id, fingerprint) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(tenant.as_uuid())
        .bind(schema.migrations.fingerprint())
        .execute(connection)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    /// Removes a tenant's storage with all its content.
    pub async fn remove(&self, tenant: &Tenant) -> Result<()> {
        let location = StorageLocation::of_tenant(tenant.id, tenant.isolation);
        let name = location.database().unwrap_or_else(|| location.schema());
        let mut connection = self.connect(StorageLocation::Control).await?;
        // A provisioning that was cut off may still run on the server: wait for it, or its late result would be left
        // behind.
        lock(&mut connection, &name).await?;
        match tenant.isolation {
            // The fence stays: open units could otherwise still write among other tenants' rows.
            Isolation::Shared => remove_rows(&mut connection, tenant.id).await?,
            Isolation::Schema => {
                let fence = format!("DELETE FROM multitenancy.fences WHERE tenant_id = '{}'", tenant.id);
                let sql = format!("DROP SCHEMA IF EXISTS {name} CASCADE; {fence}");
                execute(&mut connection, AssertSqlSafe(sql)).await.map_err(store_error)?;
            }
            Isolation::Database => {
                let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                execute(&mut connection, AssertSqlSafe(sql)).await.map_err(store_error)?;
            }
        }
        close(connection).await;
        Ok(())
    }

    /// Every fault of the database of `location`.
    pub async fn audit(&self, location: StorageLocation) -> Result<Vec<Fault>> {
        let mut connection = self.connect(location).await?;
        let faults = audit::examine(&mut connection, &self.audit).await?;
        close(connection).await;
        Ok(faults)
    }

    pub async fn make_database(&self, name: &str) -> Result<()> {
        let mut connection = self.connect(StorageLocation::Control).await?;
        lock(&mut connection, name).await?;
        let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .map_err(store_error)?;
        if !there {
            let made = execute(&mut connection, AssertSqlSafe(format!("CREATE DATABASE {name}"))).await;
            made.map_err(store_error)?;
        }
        let grants = format!(
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {APP_ROLE}"
        );
        execute(&mut connection, AssertSqlSafe(grants)).await.map_err(store_error)?;
        close(connection).await;
        Ok(())
    }

    /// A connection to the database of `location`.
    pub async fn connect(&self, location: StorageLocation) -> Result<PgConnection> {
        self.connect_waiting(location, Duration::ZERO).await
    }

    /// Like `connect`, and waits at most `longest` for each lock; zero means no limit.
    pub async fn connect_waiting(
        &self,
        location: StorageLocation,
        longest: Duration,
    ) -> Result<PgConnection> {
        let options = self.options.clone().options([
            // Notices that an object already exists carry no information.
            ("client_min_messages", "warning"),
            ("lock_timeout", &longest.as_millis().to_string()),
        ]);
        let options = match location.database() {
            Some(database) => options.database(&database),
            None => options,
        };
        let connecting = options.connect().map_err(|error| {
            if is(&error, "3D000") && location.database().is_some() {
                schema::missing(location.plane()).with_source(error)
            } else {
                store_error(error)
            }
        });
        opening(connecting).await
    }
}

/// Moves the connection to `location`, to read it while other connections may change it.
pub(super) async fn visit(connection: &mut PgConnection, location: StorageLocation) -> Result<()> {
    execute(connection, AssertSqlSafe(going(location))).await.map_err(store_error)
}

/// Moves the connection to `location` and waits for its exclusive lock. The connection holds the lock until it moves
/// elsewhere or closes: several processes may start at once.
async fn enter(connection: &mut PgConnection, location: StorageLocation) -> Result<()> {
    let lock = format!("SELECT pg_advisory_lock(hashtextextended('multitenancy:{}', 0))", location.schema());
    execute(connection, AssertSqlSafe(format!("{}; {lock}", going(location)))).await.map_err(store_error)
}

/// Resets also what earlier statements set for the session.
fn going(location: StorageLocation) -> String {
    format!(
        "RESET SESSION AUTHORIZATION; RESET ALL; DISCARD TEMP; SELECT pg_advisory_unlock_all(); SET search_path TO {}",
        location.schema()
    )
}

/// Waits for the exclusive lock on `what` in this database.
async fn lock(connection: &mut PgConnection, what: &str) -> Result<()> {
    let locked =
        sqlx::query("SELECT pg_advisory_lock(hashtextextended('multitenancy:' || $1, 0))").bind(what);
    locked.execute(connection).await.map(drop).map_err(store_error)
}

/// Removes a tenant's rows from all shared tables. Rows that other rows refer to are retried after those are removed.
async fn remove_rows(connection: &mut PgConnection, tenant: TenantId) -> Result<()> {
    let (schema, tenant) = (StorageLocation::Shared.schema(), tenant.as_uuid());
    let delete = format!(
        "DO $$ DECLARE
            target regclass;
            rounds int := 0;
            referred_to boolean := true;
        BEGIN
            WHILE referred_to LOOP
                referred_to := false;
                FOR target IN
                    SELECT c.oid::regclass FROM pg_class AS c
                    JOIN pg_namespace AS n ON n.oid = relnamespace JOIN pg_attribute ON attrelid = c.oid
                    WHERE nspname = '{schema}' AND relkind IN ('r', 'p') AND NOT relispartition
                        AND attname = 'tenant_id' AND NOT attisdropped
                LOOP
                    BEGIN
                        EXECUTE format('DELETE FROM %s WHERE tenant_id = %L', target, '{tenant}');
                    EXCEPTION WHEN foreign_key_violation THEN referred_to := true;
                    END;
                END LOOP;
                rounds := rounds + 1;
                IF rounds > 1000 THEN
                    RAISE EXCEPTION 'rows of % refer to each other in a circle', '{tenant}';
                END IF;
            END LOOP;
        END $$"
    );
    execute(connection, AssertSqlSafe(delete)).await.map_err(store_error)
}
