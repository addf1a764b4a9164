//! Organizations: tenants as their owners see them.

pub(super) mod create;
pub(super) mod list_own;
pub(super) mod read;

use multitenancy_core::{
    Isolation, Tenant, TenantId, Timestamp, UserId,
    tenant::{Domain, Plan, Slug, TenantName, TenantSettings, TenantStatus},
};
use serde::Serialize;
use utoipa::{ToSchema, openapi::Object};

use crate::schema::one_of;

/// An organization.
#[derive(Serialize, ToSchema)]
#[schema(as = Organization)]
pub(crate) struct OrganizationBody {
    #[schema(value_type = String, format = Uuid)]
    id: TenantId,
    #[schema(value_type = String)]
    name: TenantName,
    /// The URL-safe identifier.
    #[schema(value_type = String)]
    slug: Slug,
    /// The custom domain.
    #[schema(value_type = Option<String>, required)]
    domain: Option<Domain>,
    /// The plan: `free`, `starter`, `pro`, `enterprise` or another.
    #[schema(value_type = String)]
    plan: Plan,
    #[schema(schema_with = status)]
    status: TenantStatus,
    #[schema(schema_with = isolation)]
    isolation: Isolation,
    /// The platform user who owns the organization.
    #[schema(value_type = String, format = Uuid)]
    owner_id: UserId,
    /// Free-form settings of the application.
    #[schema(value_type = Object)]
    settings: TenantSettings,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

fn status() -> Object {
    one_of("The stage of its lifecycle. Only an active organization can be used.", TenantStatus::ALL)
}

fn isolation() -> Object {
    one_of("How its data is isolated.", Isolation::ALL)
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
