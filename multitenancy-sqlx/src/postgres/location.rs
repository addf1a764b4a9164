//! What is where on the server. Names of storage derive from the tenant's id and from nothing else.

use std::fmt;

use multitenancy_core::{Isolation, Plane, Tenant, TenantId};

use super::{
    engine::Statement,
    unit::{Access, UnitSpec},
};

/// Whom units of work run as.
pub(super) const APP_ROLE: &str = "multitenancy_app";

/// The name of a tenant's schema, or of its database: 39 of the 63 bytes that a name may have (S24).
pub(super) fn storage_name(tenant: TenantId) -> String {
    format!("tenant_{}", tenant.as_uuid().simple())
}

/// Where a connection belongs. It never serves another place: what it has prepared would not fit there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PoolKey {
    Control,
    /// The tenants that share tables.
    Shared,
    /// The tenants with a schema each. Its connections keep nothing prepared, so they go from schema to schema.
    Schemas,
    /// One tenant's database.
    Database(TenantId),
}

/// Storage that has a version of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageLocation {
    Control,
    /// The tables that tenants share.
    Shared,
    /// One tenant's schema.
    Schema(TenantId),
    /// One tenant's database.
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

    /// The tenant whose alone it is.
    pub fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Control | Self::Shared => None,
            Self::Schema(tenant) | Self::Database(tenant) => Some(tenant),
        }
    }

    /// Whose mark says at which version it is. The tables that tenants share are marked as those of the control plane,
    /// beside each tenant's own mark.
    pub fn plane(self) -> Plane {
        self.tenant().map_or(Plane::Control, Plane::Tenant)
    }

    /// The tenant's own database; `None` when it is in the control plane's.
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

    /// Where the connections of units of work to it belong.
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
    /// The search path of its connections for good; `None` where each transaction says its own.
    pub fn search_path(self) -> Option<&'static str> {
        match self {
            Self::Control | Self::Database(_) => Some("public"),
            Self::Shared => Some("tenants"),
            Self::Schemas => None,
        }
    }
}

/// What begins a transaction. Everything in it is an identifier or a number of ours.
pub(super) fn begin(spec: UnitSpec, pooled: bool, settings: &str) -> Statement {
    let (key, plane) = (spec.location.key(), spec.plane);
    // Whatever the server's default is: a COMMIT has to see the fence that was raised after its transaction began.
    let begin = match spec.access {
        Access::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
        Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    // sqlx names what it prepares, also when it keeps nothing of it: it would pile up on the server, or be in the way of
    // another that has the same name.
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
