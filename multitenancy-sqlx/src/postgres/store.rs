use std::{fmt, sync::Arc};

use multitenancy_core::{
    ControlContext, Environment, Isolation, Plane, Result, Tenant, TenantId,
    error::code,
    store::{
        Signals,
        fleet::{Fleet, FleetOptions},
    },
};
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::{
    admin::Admin,
    audit::{self, Fault},
    builder::PgStoreBuilder,
    checkout::session_settings,
    engine::Pool,
    error::store_error,
    listen::Listening,
    location::PoolKey,
    location::StorageLocation,
    login::Login,
    schema::Schema,
    schema_cache::SchemaCache,
    unit::RepairsInFlight,
};
use crate::pool;

/// A store on PostgreSQL. Each tenant has its own isolation: shared tables under row-level security, its own schema,
/// or its own database. Cloning is cheap.
#[derive(Clone)]
pub struct PgStore {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) pool: Arc<Pool>,
    pub(super) runtime: PgConnectOptions,
    pub(super) admin: Admin,
    pub(super) limits: Widths,
    pub(super) control_schema: Schema,
    pub(super) tenant_schema: Schema,
    pub(super) isolations: [Isolation; 3],
    /// The settings that every transaction makes, where connections do not keep them.
    pub(super) local: String,
    /// Whether each transaction may run on a different connection of the server.
    pub(super) pooled: bool,
    pub(super) environment: Environment,
    pub(super) signals: Arc<Signals>,
    pub(super) schema_cache: Arc<SchemaCache>,
    pub(super) listening: Listening,
    pub(super) repairs: RepairsInFlight,
}

/// The maximum number of concurrent units of work on a plane.
pub(super) struct Widths {
    pub control: usize,
    pub tenant: usize,
}

impl PgStore {
    /// Builds a store in the database of `url`, such as `postgres://app:secret@localhost/app`.
    pub fn builder(url: &str) -> PgStoreBuilder {
        PgStoreBuilder::new(url)
    }

    pub(super) async fn open(
        builder: PgStoreBuilder,
        runtime: PgConnectOptions,
        admin: Option<PgConnectOptions>,
    ) -> Result<Self> {
        let reference_tables = builder.audit.reference_tables.clone();
        let mut admin = Admin::new(admin.unwrap_or_else(|| runtime.clone()), builder.audit);
        admin.make_role().await?;
        let pooled = builder.pooled;
        let runtime = if pooled {
            // A pooler refuses settings that it cannot keep, and a statement prepared earlier may be on another
            // connection.
            runtime.statement_cache_capacity(0).extra_float_digits(None)
        } else {
            runtime
        };
        let login = Login::examine(runtime, &admin, builder.allow_privileged_url).await?;
        let name = format!("multitenancy {}", builder.environment.uuid().simple());
        let signals = Arc::<Signals>::default();
        let schema_cache = SchemaCache::following(&signals);
        let direct = if pooled { &admin.options } else { &login.options };
        let listener = direct.clone().application_name(&format!("{name} listener"));
        let listening = Listening::start(listener, name.clone(), signals.clone());
        let (runtime, local) = session_settings(&login, &name, builder.timeouts, pooled);
        admin.audit.login = login.role;
        let open = builder.limits.open;
        let default = builder.default_isolation;
        let mut isolations = [Isolation::Shared, Isolation::Schema, Isolation::Database];
        isolations.sort_by_key(|isolation| *isolation != default);
        let inner = Inner {
            limits: Widths { control: open, tenant: builder.per_tenant.unwrap_or(open.div_ceil(2)) },
            pool: Arc::new(pool::Pool::new(builder.limits)),
            runtime,
            admin,
            control_schema: Schema::control(builder.control_migrations, reference_tables.clone()),
            tenant_schema: Schema::tenant(builder.tenant_migrations, reference_tables),
            isolations,
            local,
            pooled,
            environment: builder.environment,
            signals,
            schema_cache,
            listening,
            repairs: RepairsInFlight::default(),
        };
        let store = Self { inner: Arc::new(inner) };
        store.make_when_new().await?;
        Ok(store)
    }

    /// Creates the control plane in an empty database, and refuses an unsafe database.
    async fn make_when_new(&self) -> Result<()> {
        let ready = match self.read_control(&ControlContext::system("start")).await {
            Err(error) if error.is(code::TENANT_STORAGE_MISSING) => {
                self.make().await?;
                Ok(())
            }
            Err(error) if error.is(code::TENANT_UPGRADING) => Ok(()),
            other => other.map(drop),
        };
        // The audit comes first: it explains why the read failed.
        audit::ensure_safe(&self.inner.admin.audit(StorageLocation::Control).await?)?;
        ready
    }

    /// Lists every way one tenant could reach another tenant's rows: in the control plane's database with all its
    /// schemas, and in each tenant's own database. The list is empty when all databases are safe.
    pub async fn audit(&self) -> Result<Vec<Fault>> {
        let mut faults = self.inner.admin.audit(StorageLocation::Control).await?;
        let mut unit = self.read_control(&ControlContext::system("audit")).await?;
        let tenants: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM multitenancy_tenants WHERE isolation = 'database' AND status IN ('active', 'suspended')",
        )
        .fetch_all(unit.conn())
        .await
        .map_err(store_error)?;
        drop(unit);
        for tenant in tenants {
            let location = StorageLocation::of_tenant(TenantId::from_uuid(tenant), Isolation::Database);
            faults.extend(self.inner.admin.audit(location).await?);
        }
        Ok(faults)
    }

    /// Closes all connections. Waits at most the acquire timeout for connections in use. Later units of work are
    /// refused.
    pub async fn close(&self) {
        self.inner.listening.stop();
        self.inner.pool.close().await;
    }

    /// Migrates the control plane and every tenant to the newest schema. Tenants at the newest schema are not
    /// touched.
    ///
    /// The failure of one tenant does not stop the others. The error, 503 `tenants_not_migrated`, names every failed
    /// tenant. A tenant that is not migrated is refused: 503 `tenant_upgrading`.
    pub async fn migrate(&self) -> Result<()> {
        let report = self.migrate_all(&FleetOptions::default()).await?.finish().await;
        // The audit comes first: a caller that ignores failed tenants must not ignore unsafe ones.
        audit::ensure_safe(&self.inner.admin.audit(StorageLocation::Control).await?)?;
        report.into_result()
    }

    pub(super) fn repairs(&self) -> &RepairsInFlight {
        &self.inner.repairs
    }

    pub(super) fn control_schema(&self) -> &Schema {
        &self.inner.control_schema
    }

    pub(super) fn tenant_schema(&self) -> &Schema {
        &self.inner.tenant_schema
    }

    pub(super) async fn remove_storage(&self, tenant: &Tenant) -> Result<()> {
        let inner = &self.inner;
        let plane = Plane::Tenant(tenant.id);
        inner.schema_cache.forget(Some(plane));
        inner.pool.close_all(|lane| lane == plane, |key| key == PoolKey::Database(tenant.id)).await;
        inner.admin.remove(tenant).await
    }

    pub(super) fn kept_apart_by(&self) -> &[Isolation] {
        &self.inner.isolations
    }

    /// No secret: several processes share the database.
    pub(super) fn stored_secret(&self, _name: &str) -> Result<Option<SecretString>> {
        Ok(None)
    }
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgStore").finish_non_exhaustive()
    }
}
