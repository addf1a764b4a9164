use serde::Serialize;

use super::{Slug, Tenant};
use crate::{
    event::{Aggregate, Event},
    id::{TenantId, UserId},
};

/// `tenant.created`: the tenant is active. Published on the control plane.
#[derive(Debug, Clone, Serialize)]
pub struct TenantCreated {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Its name in addresses.
    pub slug: Slug,
    /// The platform user who owns it.
    pub owner_id: UserId,
}

impl From<&Tenant> for TenantCreated {
    fn from(tenant: &Tenant) -> Self {
        Self { tenant_id: tenant.id, slug: tenant.slug.clone(), owner_id: tenant.owner_id }
    }
}

impl Event for TenantCreated {
    const TYPE: &'static str = "tenant.created";
    const VERSION: u32 = 1;

    fn aggregate(&self) -> Aggregate {
        Aggregate::new("tenant", self.tenant_id)
    }
}

macro_rules! status_events {
    ($($(#[$doc:meta])* $event:ident = $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize)]
        pub struct $event {
            /// The tenant.
            pub tenant_id: TenantId,
        }

        impl Event for $event {
            const TYPE: &'static str = $name;
            const VERSION: u32 = 1;

            fn aggregate(&self) -> Aggregate {
                Aggregate::new("tenant", self.tenant_id)
            }
        }
    )*};
}

status_events! {
    /// `tenant.suspended`: the tenant is refused until it is activated. Published on the control plane.
    TenantSuspended = "tenant.suspended";
    /// `tenant.activated`: a suspended tenant is active again. Published on the control plane.
    TenantActivated = "tenant.activated";
    /// `tenant.canceled`: the tenant is refused for good. Published on the control plane.
    TenantCanceled = "tenant.canceled";
}
