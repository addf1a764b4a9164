//! Organizations: tenants, as their owners see them.

pub(super) mod create;
pub(super) mod list_own;
pub(super) mod read;

use multitenancy_core::{
    Isolation, Tenant, TenantId, Timestamp, UserId,
    tenant::{Domain, Plan, Slug, TenantName, TenantSettings, TenantStatus},
};
use serde::Serialize;
use utoipa::{ToSchema, openapi::Object};

use crate::openapi::one_of;

/// An organization.
#[derive(Serialize, ToSchema)]
#[schema(as = Organization)]
pub(super) struct OrganizationBody {
    #[schema(value_type = String, format = Uuid)]
    id: TenantId,
    #[schema(value_type = String)]
    name: TenantName,
    /// Its name in addresses.
    #[schema(value_type = String)]
    slug: Slug,
    /// Its own domain.
    #[schema(value_type = Option<String>, required)]
    domain: Option<Domain>,
    /// What it pays for: `free`, `starter`, `pro`, `enterprise` or another.
    #[schema(value_type = String)]
    plan: Plan,
    #[schema(schema_with = status)]
    status: TenantStatus,
    #[schema(schema_with = isolation)]
    isolation: Isolation,
    /// The platform user who owns it.
    #[schema(value_type = String, format = Uuid)]
    owner_id: UserId,
    /// Free settings of the application.
    #[schema(value_type = Object)]
    settings: TenantSettings,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

fn status() -> Object {
    one_of("Where it is in its life. Only one that is active can be worked in.", TenantStatus::ALL)
}

fn isolation() -> Object {
    one_of("How its data is kept apart.", Isolation::ALL)
}

impl From<&Tenant> for OrganizationBody {
    fn from(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id,
            name: tenant.name.clone(),
            slug: tenant.slug.clone(),
            domain: tenant.domain.clone(),
            plan: tenant.plan.clone(),
            status: tenant.status,
            isolation: tenant.isolation,
            owner_id: tenant.owner_id,
            settings: tenant.settings.clone(),
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        }
    }
}
