//! What is where on the server. Names of storage derive from the tenant's id and from nothing else.

use std::fmt;

use multitenancy_core::{Isolation, Plane, TenantId};

use super::engine::{Place, Statement};

/// Whom units of work run as.
pub(super) const APP_ROLE: &str = "multitenancy_app";

/// The name of a tenant's schema, or of its database: 39 of the 63 bytes that a name may have (S24).
pub(super) fn storage_name(tenant: TenantId) -> String {
    format!("tenant_{}", tenant.as_uuid().simple())
}

/// A place to bring to a schema: which database, and which schema in it.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// The tenant's own database; `None` is the control plane's.
    pub database: Option<String>,
    pub schema: String,
    plane: Plane,
}

impl Home {
    pub fn control() -> Self {
        Self { database: None, schema: "public".to_owned(), plane: Plane::Control }
    }

    /// The tables that tenants share. They are marked as those of the control plane, beside each tenant's own mark.
    pub fn shared() -> Self {
        Self { database: None, schema: "tenants".to_owned(), plane: Plane::Control }
    }

    /// Whether nobody else's rows belong there.
    pub fn is_one_tenants(&self) -> bool {
        self.database.is_some() || self.schema.starts_with("tenant_")
    }

    pub fn of_tenant(tenant: TenantId, isolation: Isolation) -> Self {
        let (name, plane) = (storage_name(tenant), Plane::Tenant(tenant));
        match isolation {
            Isolation::Shared => Self::shared(),
            Isolation::Schema => Self { database: None, schema: name, plane },
            Isolation::Database => Self { database: Some(name), schema: "public".to_owned(), plane },
        }
    }

    /// Whose mark says where it is.
    pub fn plane(&self) -> Plane {
        self.plane
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.database {
            Some(database) => write!(f, "the database {database}"),
            None => write!(f, "the schema {}", self.schema),
        }
    }
}

impl Place {
    pub fn of_tenant(tenant: TenantId, isolation: Isolation) -> Self {
        match isolation {
            Isolation::Shared => Self::Shared,
            Isolation::Schema => Self::Schemas,
            Isolation::Database => Self::Database(tenant),
        }
    }

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
pub(super) fn begin((place, plane): (Place, Plane), writes: bool, pooled: bool, settings: &str) -> Statement {
    let begin = if writes { "BEGIN" } else { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" };
    // sqlx names what it prepares, also when it keeps nothing of it: it would pile up on the server, or be in the way of
    // another that has the same name.
    let forget = pooled || place == Place::Schemas;
    let tenant = plane.scope();
    let mut local = format!("set_config('app.tenant_id', '{tenant}', true){settings}");
    let path = match (place.search_path(), plane) {
        (None, Plane::Tenant(tenant)) => Some(storage_name(tenant)),
        (path, _) => path.filter(|_| pooled).map(str::to_owned),
    };
    if let Some(path) = path {
        local.push_str(&format!(", set_config('search_path', '{path}', true)"));
    }
    Statement { begin, local, forget }
}
