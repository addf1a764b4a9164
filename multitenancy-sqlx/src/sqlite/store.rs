use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use multitenancy_core::{
    Environment, Isolation, Plane, Result, Tenant, TenantId,
    actor::Origin,
    error::code,
    store::{
        Signals,
        fleet::{Fleet, FleetOptions},
    },
};
use secrecy::SecretString;
use sqlx::{
    ConnectOptions, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    builder::{SqliteStoreBuilder, Synchronous, limits},
    engine::Pool,
    error::store_error,
    fence::Fences,
    files::DataDirectory,
    location::PoolKey,
    schema::{self, Schema},
    unit::{Access, Lease, RepairsInFlight, Unit, UnitSpec},
};
use crate::pool;

/// A store on SQLite: one file per tenant, and one for the registry. Cloning is cheap.
///
/// Tenants share no table, no file and no connection, so a query without a tenant filter reaches no other tenant's
/// rows. One process at a time uses a data directory. The writers of a tenant run one at a time; readers see the last
/// commit and do not wait for writers.
#[derive(Clone)]
pub struct SqliteStore {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    directory: DataDirectory,
    control: Arc<Pool>,
    tenants: Arc<Pool>,
    readers: usize,
    control_schema: Schema,
    tenant_schema: Schema,
    busy_timeout: Duration,
    synchronous: Synchronous,
    pub(super) environment: Environment,
    pub(super) signals: Arc<Signals>,
    /// The tenants found at another schema, each noted once.
    outdated: Mutex<HashSet<TenantId>>,
    /// The planes under migration.
    moving: Mutex<Vec<Plane>>,
    fences: Fences,
    repairs: RepairsInFlight,
}

/// Readers of the control file.
const CONTROL_READERS: usize = 4;

impl SqliteStore {
    /// Builds a store in the directory of `url`, such as `sqlite:data`.
    pub fn builder(url: &str) -> SqliteStoreBuilder {
        SqliteStoreBuilder::new(url)
    }

    pub(super) async fn open(builder: SqliteStoreBuilder, directory: PathBuf) -> Result<Self> {
        let wait = builder.limits.wait;
        let control_limits = limits(1 + CONTROL_READERS, wait);
        let inner = Inner {
            directory: DataDirectory::open(&directory)?,
            control: Arc::new(pool::Pool::new(control_limits)),
            tenants: Arc::new(pool::Pool::new(builder.limits)),
            readers: builder.readers,
            control_schema: Schema::control(builder.control_migrations),
            tenant_schema: Schema::tenant(builder.tenant_migrations),
            busy_timeout: builder.busy_timeout,
            synchronous: builder.synchronous,
            environment: builder.environment,
            signals: Arc::default(),
            outdated: Mutex::default(),
            moving: Mutex::default(),
            fences: Fences::default(),
            repairs: RepairsInFlight::default(),
        };
        let store = Self { inner: Arc::new(inner) };
        if !store.inner.directory.has_database(Plane::Control) {
            store.migrate_control().await?;
        }
        store.raise_fences().await?;
        Ok(store)
    }

    /// Migrates the control file and every tenant's file to the newest schema. Files of tenants at the newest schema
    /// are not opened.
    ///
    /// The failure of one tenant does not stop the others. The error, 503 `tenants_not_migrated`, names every failed
    /// tenant. A tenant that is not migrated is refused: 503 `tenant_upgrading`.
    pub async fn migrate(&self) -> Result<()> {
        self.migrate_all(&FleetOptions::default()).await?.finish().await.into_result()
    }

    /// Closes every file and writes its WAL into it. Afterwards each file holds all of its tenant's data and can be
    /// copied. Call it when the process ends.
    ///
    /// Waits for running units of work, at most the acquire timeout; later ones are refused with `storage_closed`.
    /// The directory stays locked by this process until the last clone is dropped. Without this call no data is lost
    /// either: the next start reads it from the WAL.
    pub async fn close(&self) {
        self.inner.tenants.close().await;
        self.inner.control.close().await;
    }

    pub(super) async fn unit(&self, spec: UnitSpec, origin: &Origin) -> Result<Unit> {
        let (plane, access) = (spec.location.plane(), spec.access);
        self.refuse_moving(plane)?;
        let pool = self.pool(plane);
        // A file removed while it is open accepts writes and loses them.
        if access == Access::Write && !self.inner.directory.has_database(plane) {
            close_file(pool, plane).await;
        }
        let key = PoolKey { plane, access };
        // Writers begin an immediate transaction, so it never fails later for lack of the lock; readers begin a
        // snapshot.
        let statement = match access {
            Access::Write => "BEGIN IMMEDIATE",
            Access::Read => "BEGIN",
        };
        let (width, deadline) = (self.width(key), pool.deadline());
        let lease = loop {
            let leased = pool.acquire((key, width), key, deadline, || self.open_file(plane, access)).await?;
            let reused = leased.1.reused;
            let signals = self.inner.signals.clone();
            match Lease::begin(pool.clone(), leased, statement, spec, signals).await {
                Ok(lease) => break lease,
                // The previous unit left the connection unusable: close it and take another.
                Err(error) if reused && error.as_database_error().is_none() => {}
                Err(error) => return Err(store_error(error)),
            }
        };
        self.refuse_moving(plane)?;
        Ok(Unit::new(lease, plane, origin, self))
    }

    fn refuse_moving(&self, plane: Plane) -> Result<()> {
        if self.moving().contains(&plane) { Err(schema::upgrading(plane)) } else { Ok(()) }
    }

    /// Opens a plane's file. Checks that the file belongs to this plane and is at this program's schema.
    async fn open_file(&self, plane: Plane, access: Access) -> Result<SqliteConnection> {
        let mut connection = match self.options(plane, access).connect().await.map_err(store_error) {
            Err(error) if !self.inner.directory.has_database(plane) => {
                return Err(schema::missing(plane).with_source(error));
            }
            other => other?,
        };
        let checked = self.schema(plane).check(&mut connection, plane).await;
        if let (Err(error), Plane::Tenant(tenant)) = (&checked, plane)
            && error.is(code::TENANT_UPGRADING)
            && self.inner.outdated.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant)
        {
            Box::pin(self.note_outdated(tenant, self.inner.tenant_schema.migrations.fingerprint())).await;
        }
        checked?;
        Ok(connection)
    }

    /// The maximum number of concurrent connections with this key.
    pub(super) fn width(&self, key: PoolKey) -> usize {
        match (key.access, key.plane) {
            (Access::Write, _) => 1,
            (Access::Read, Plane::Control) => CONTROL_READERS,
            (Access::Read, Plane::Tenant(_)) => self.inner.readers,
        }
    }

    pub(super) fn options(&self, plane: Plane, access: Access) -> SqliteConnectOptions {
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

    pub(super) fn tenant_schema(&self) -> &Schema {
        &self.inner.tenant_schema
    }

    pub(super) fn moving(&self) -> MutexGuard<'_, Vec<Plane>> {
        self.inner.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fences(&self) -> &Fences {
        &self.inner.fences
    }

    pub(super) fn repairs(&self) -> &RepairsInFlight {
        &self.inner.repairs
    }

    pub(super) fn no_longer_outdated(&self, tenant: TenantId) {
        self.inner.outdated.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }

    pub(super) fn has_file(&self, plane: Plane) -> bool {
        self.inner.directory.has_database(plane)
    }

    pub(super) fn schema(&self, plane: Plane) -> &Schema {
        match plane {
            Plane::Control => &self.inner.control_schema,
            Plane::Tenant(_) => &self.inner.tenant_schema,
        }
    }

    /// The maximum number of concurrent migrations: each takes a connection.
    pub(super) fn budget(&self) -> usize {
        self.inner.tenants.limits().open
    }

    pub(super) fn pool(&self, plane: Plane) -> &Arc<Pool> {
        match plane {
            Plane::Control => &self.inner.control,
            Plane::Tenant(_) => &self.inner.tenants,
        }
    }
}

impl SqliteStore {
    pub(super) async fn remove_storage(&self, tenant: &Tenant) -> Result<()> {
        let plane = Plane::Tenant(tenant.id);
        close_file(&self.inner.tenants, plane).await;
        self.inner.directory.remove_database(plane)?;
        // Again, for a unit that opened the file in the meantime.
        close_file(&self.inner.tenants, plane).await;
        Ok(())
    }

    pub(super) fn kept_apart_by(&self) -> &[Isolation] {
        &[Isolation::Database]
    }

    pub(super) fn stored_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.inner.directory.secret(name, &self.inner.environment).map(Some)
    }
}

pub(super) async fn close_file(pool: &Pool, plane: Plane) {
    pool.close_all(|lane| lane.plane == plane, |key| key.plane == plane).await;
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("directory", &self.inner.directory).finish_non_exhaustive()
    }
}
