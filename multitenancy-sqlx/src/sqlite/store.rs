use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use multitenancy_core::{
    ControlContext, ControlTransaction, Environment, Error, ErrorKind, Isolation, Plane, Result, Store,
    Tenant, TenantContext, TenantId, TenantTransaction, actor::Origin, store::Signals,
};
use secrecy::SecretString;
use sqlx::{
    SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use uuid::Uuid;

use super::{
    builder::{SqliteStoreBuilder, Synchronous},
    connections::{Access, Connections, Limits, connect},
    error::store_error,
    files::DataDirectory,
    lease::Lease,
    migration::{self, Schema},
    transaction::{SqliteControlTransaction, SqliteTransaction},
    unit::Unit,
};

/// Keeps each tenant in a file of its own, and the registry in another. Cheap to clone.
///
/// Tenants share no table, no file and no connection, so no query can reach another tenant's rows. One process at a
/// time uses a data directory. A tenant's writers take turns; its readers see the last commit and wait for nobody.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    directory: DataDirectory,
    control: Arc<Connections>,
    tenants: Arc<Connections>,
    control_schema: Schema,
    tenant_schema: Schema,
    busy_timeout: Duration,
    synchronous: Synchronous,
    environment: Environment,
    signals: Arc<Signals>,
}

/// What to do about a file that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Make it.
    Make,
    /// Refuse: an active tenant's file that has gone must not come back empty.
    Refuse,
}

/// Readers of the control file.
const CONTROL_READERS: usize = 4;

impl SqliteStore {
    /// A store in the directory that `url` names, as `sqlite:data`.
    pub fn builder(url: &str) -> SqliteStoreBuilder {
        SqliteStoreBuilder::new(url)
    }

    pub(super) async fn open(builder: SqliteStoreBuilder, directory: PathBuf) -> Result<Self> {
        let wait = builder.limits.wait;
        let control_limits = Limits { open: 1 + CONTROL_READERS, readers: CONTROL_READERS, wait };
        let inner = Inner {
            directory: DataDirectory::open(&directory)?,
            control: Arc::new(Connections::new(control_limits)),
            tenants: Arc::new(Connections::new(builder.limits)),
            control_schema: Schema::control(builder.control_migrations),
            tenant_schema: Schema::tenant(builder.tenant_migrations),
            busy_timeout: builder.busy_timeout,
            synchronous: builder.synchronous,
            environment: builder.environment,
            signals: Arc::default(),
        };
        let store = Self { inner: Arc::new(inner) };
        store.migrate_file(Plane::Control, &store.inner.control_schema, Missing::Make).await?;
        Ok(store)
    }

    /// Opens a transaction inside the context's tenant. It has the file's write lock: units that write take turns.
    ///
    /// A handler calls it after it has read its body, with whatever its extractor gave it: every extractor for a
    /// tenant is a `TenantContext` to this call.
    pub async fn begin(&self, context: &TenantContext) -> Result<SqliteTransaction> {
        self.open_tenant(context, Access::Write).await
    }

    /// Opens a snapshot inside the context's tenant, that only reads.
    pub async fn read(&self, context: &TenantContext) -> Result<SqliteTransaction> {
        self.open_tenant(context, Access::Read).await
    }

    /// Opens a transaction on the control plane.
    pub async fn control(&self, context: &ControlContext) -> Result<SqliteControlTransaction> {
        self.open_control(context, Access::Write).await
    }

    /// Opens a snapshot of the control plane, that only reads.
    pub async fn read_control(&self, context: &ControlContext) -> Result<SqliteControlTransaction> {
        self.open_control(context, Access::Read).await
    }

    /// Brings the control file and every tenant's file to the newest schema. Tenants that are current are not opened.
    ///
    /// One tenant's failure does not keep the others from it; all are named in the error.
    pub async fn migrate(&self) -> Result<()> {
        let fingerprint = self.inner.tenant_schema.fingerprint();
        let mut unit = self.read_control(&ControlContext::system("migration")).await?;
        let outdated = migration::outdated(unit.conn(), &fingerprint).await?;
        drop(unit);
        let mut failures = Vec::new();
        for (done, tenant) in outdated.iter().enumerate() {
            if let Err(error) = self.migrate_tenant(*tenant, &fingerprint, Missing::Refuse).await {
                tracing::error!(%tenant, error = ?error, "a tenant could not be migrated");
                failures.push(*tenant);
            }
            if (done + 1) % 100 == 0 {
                tracing::info!(done = done + 1, of = outdated.len(), "migrating tenants");
            }
        }
        if failures.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = failures.iter().map(ToString::to_string).collect();
        let (failed, all) = (failures.len(), outdated.len());
        Err(Error::config(format!("{failed} of {all} tenants could not be migrated: {}", names.join(", "))))
    }

    async fn migrate_tenant(&self, tenant: TenantId, fingerprint: &str, missing: Missing) -> Result<()> {
        self.migrate_file(Plane::Tenant(tenant), &self.inner.tenant_schema, missing).await?;
        let mut unit = self.control(&ControlContext::system("migration")).await?;
        migration::record(unit.conn(), tenant, fingerprint, self.inner.environment.now()).await?;
        unit.commit().await
    }

    /// Migrates on a connection that is made for it and then closed, under the file's write turn.
    async fn migrate_file(&self, plane: Plane, schema: &Schema, missing: Missing) -> Result<()> {
        let pool = self.pool(plane);
        pool.close_idle(plane).await;
        let options = self.options(plane, Access::Write).create_if_missing(missing == Missing::Make);
        let open = || async { connect(&options).await };
        let (mut connection, slot) = pool.acquire(plane, Access::Write, open).await?;
        let applied = schema.apply(&mut connection, plane).await;
        super::connections::close(connection).await;
        drop(slot);
        applied
    }

    async fn open_control(
        &self,
        context: &ControlContext,
        access: Access,
    ) -> Result<SqliteControlTransaction> {
        let unit = self.unit(Plane::Control, access, context.origin()).await?;
        Ok(SqliteTransaction::new(unit, context.clone()))
    }

    async fn open_tenant(&self, context: &TenantContext, access: Access) -> Result<SqliteTransaction> {
        let unit = self.unit(Plane::Tenant(context.tenant_id()), access, context.origin()).await?;
        Ok(SqliteTransaction::new(unit, context.clone()))
    }

    async fn unit(&self, plane: Plane, access: Access, origin: &Origin) -> Result<Unit> {
        let pool = self.pool(plane);
        let open = || self.open_file(plane, access);
        let (connection, slot) = pool.acquire(plane, access, open).await?;
        let lease = Lease::begin(pool.clone(), connection, slot, self.inner.signals.clone()).await?;
        Ok(Unit { lease, plane, origin: origin.clone(), environment: self.inner.environment.clone() })
    }

    /// Opens a plane's file and checks that it is this plane's and no other's: files that were swapped or copied over
    /// each other are refused.
    async fn open_file(&self, plane: Plane, access: Access) -> Result<SqliteConnection> {
        let missing = |source: Error| {
            Error::new(ErrorKind::Unavailable, "tenant_storage_missing", "this organization has no storage")
                .with_context("plane", plane)
                .with_source(source)
        };
        let mut connection = match connect(&self.options(plane, access)).await {
            Err(error) if !self.inner.directory.database(plane).exists() => return Err(missing(error)),
            other => other?,
        };
        let marker: Option<Uuid> = sqlx::query_scalar("SELECT tenant_id FROM multitenancy_marker")
            .fetch_optional(&mut connection)
            .await
            .map_err(|error| match error.as_database_error() {
                // No such table: a file that was never finished.
                Some(fault) if fault.message().contains("no such table") => missing(store_error(error)),
                _ => store_error(error),
            })?;
        if marker != Some(plane.scope()) {
            return Err(Error::internal("the file belongs to another plane").with_context("plane", plane));
        }
        Ok(connection)
    }

    fn options(&self, plane: Plane, access: Access) -> SqliteConnectOptions {
        let synchronous = match self.inner.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        };
        let options = SqliteConnectOptions::new()
            .filename(self.inner.directory.database(plane))
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .busy_timeout(self.inner.busy_timeout)
            .synchronous(synchronous)
            .pragma("trusted_schema", "OFF")
            .thread_name(move |_| {
                format!("sqlite-{}", if plane == Plane::Control { "control" } else { "tenant" })
            });
        match access {
            Access::Write => options,
            Access::Read => options.pragma("query_only", "ON"),
        }
    }

    fn pool(&self, plane: Plane) -> &Arc<Connections> {
        match plane {
            Plane::Control => &self.inner.control,
            Plane::Tenant(_) => &self.inner.tenants,
        }
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("directory", &self.inner.directory).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        Ok(Box::new(self.control(context).await?))
    }

    async fn read_control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        Ok(Box::new(self.read_control(context).await?))
    }

    async fn begin(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        Ok(Box::new(self.begin(context).await?))
    }

    async fn read(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        Ok(Box::new(self.read(context).await?))
    }

    async fn migrate(&self) -> Result<()> {
        self.migrate().await
    }

    async fn provision(&self, tenant: &Tenant) -> Result<()> {
        if !self.isolations().contains(&tenant.isolation) {
            return Err(Error::config(format!(
                "SQLite keeps tenants apart by a file each ({}), not by {}",
                Isolation::Database,
                tenant.isolation
            )));
        }
        self.migrate_tenant(tenant.id, &self.inner.tenant_schema.fingerprint(), Missing::Make).await
    }

    async fn deprovision(&self, tenant: &Tenant) -> Result<()> {
        let plane = Plane::Tenant(tenant.id);
        self.inner.tenants.close_idle(plane).await;
        self.inner.directory.remove_database(plane)
    }

    async fn ping(&self) -> Result<()> {
        let mut unit = self.read_control(&ControlContext::system("health")).await?;
        sqlx::query("SELECT 1").execute(unit.conn()).await.map_err(store_error)?;
        Ok(())
    }

    fn isolations(&self) -> &[Isolation] {
        &[Isolation::Database]
    }

    fn signals(&self) -> &Signals {
        &self.inner.signals
    }

    fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    fn local_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.inner.directory.secret(name, &self.inner.environment).map(Some)
    }
}
