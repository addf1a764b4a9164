//! Where storage is on the server. Names of storage derive only from the tenant's id.

use std::fmt;

use multitenancy_core::{Isolation, Plane, Tenant, TenantId};

use super::{
    engine::Statement,
    unit::{Access, UnitSpec},
};

/// The role that units of work run as.
pub(super) const APP_ROLE: &str = "multitenancy_app";

/// The name of a tenant's schema or database: 39 bytes of the 63 allowed (S24).
pub(super) fn storage_name(tenant: TenantId) -> String {
    format!("tenant_{}", tenant.as_uuid().simple())
}

/// The key of a connection. A connection never serves another key: its prepared statements would not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PoolKey {
    Control,
    /// Tenants in shared tables.
    Shared,
    /// Tenants with their own schema. These connections keep no prepared statements, so they serve every such schema.
    Schemas,
    /// The database of one tenant.
    Database(TenantId),
}

/// Storage with its own version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageLocation {
    Control,
    /// The shared tables.
    Shared,
    /// The schema of one tenant.
    Schema(TenantId),
    /// The database of one tenant.
    Database(TenantId),
}

impl StorageLocation {
    pub fn of_tenant(tenant: TenantId, isolation: Isolation) -> Self {
        match isolation {
            Isolation::Shared => Self::Shared,
            Isolation::Schema => Self::Schema(tenant),
            Isolation::Database => Self::Database(tenant),
        }
    }

    pub fn of(tenant: &Tenant) -> Self {
        Self::of_tenant(tenant.id, tenant.isolation)
    }

    pub fn control() -> Self {
        Self::Control
    }

    /// The tenant that owns this storage alone.
    pub fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Control | Self::Shared => None,
            Self::Schema(tenant) | Self::Database(tenant) => Some(tenant),
        }
    }

    /// The plane whose marker holds the version. The shared tables use the control plane's marker, in addition to
    /// each tenant's own marker.
    pub fn plane(self) -> Plane {
        self.tenant().map_or(Plane::Control, Plane::Tenant)
    }

    /// The tenant's own database; `None` when the storage is in the control plane's database.
    pub fn database(self) -> Option<String> {
        match self {
            Self::Database(tenant) => Some(storage_name(tenant)),
            Self::Control | Self::Shared | Self::Schema(_) => None,
        }
    }

    pub fn schema(self) -> String {
        match self {
            Self::Schema(tenant) => storage_name(tenant),
            Self::Control | Self::Database(_) => "public".to_owned(),
            Self::Shared => "tenants".to_owned(),
        }
    }

    /// The key of the connections of its units of work.
    pub fn key(self) -> PoolKey {
        match self {
            Self::Control => PoolKey::Control,
            Self::Shared => PoolKey::Shared,
            Self::Schema(_) => PoolKey::Schemas,
            Self::Database(tenant) => PoolKey::Database(tenant),
        }
    }
}

impl fmt::Display for StorageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.database() {
            Some(database) => write!(f, "the database {database}"),
            None => write!(f, "the schema {}", self.schema()),
        }
    }
}

impl PoolKey {
    /// The fixed search path of its connections; `None` where each transaction sets its own.
    pub fn search_path(self) -> Option<&'static str> {
        match self {
            Self::Control | Self::Database(_) => Some("public"),
            Self::Shared => Some("tenants"),
            Self::Schemas => None,
        }
    }
}

/// The parts that begin a transaction. They contain only identifiers and numbers of this crate.
pub(super) fn begin(spec: UnitSpec, pooled: bool, settings: &str) -> Statement {
    let (key, plane) = (spec.location.key(), spec.plane);
    // Overrides the server's default isolation level: a COMMIT must see a fence raised after its transaction began.
    let begin = match spec.access {
        Access::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
        Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    // sqlx names prepared statements also when it does not keep them: they would accumulate on the server, or collide
    // with others of the same name.
    let forget = pooled || key == PoolKey::Schemas;
    let tenant = plane.scope();
    let mut local = format!("set_config('app.tenant_id', '{tenant}', true){settings}");
    let path = match (key.search_path(), plane) {
        (None, Plane::Tenant(tenant)) => Some(storage_name(tenant)),
        (path, _) => path.filter(|_| pooled).map(str::to_owned),
    };
    if let Some(path) = path {
        local.push_str(&format!(", set_config('search_path', '{path}', true)"));
    }
    let database = match key {
        PoolKey::Database(tenant) => Some(storage_name(tenant)),
        PoolKey::Control | PoolKey::Shared | PoolKey::Schemas => None,
    };
    Statement { begin, database, local, forget }
}
