//! A tenant's context is handed out by resolution and delivery; nobody makes one.

use std::sync::Arc;

use multitenancy_core::{Tenant, TenantContext, TenantId, actor::Origin};

fn from_an_id(id: TenantId) -> TenantContext {
    id.into()
}

fn as_resolution_does(tenant: Arc<Tenant>, origin: Origin) -> TenantContext {
    TenantContext::resolved(tenant, origin)
}

fn by_default() -> TenantContext {
    TenantContext::default()
}

fn another_tenants(mut context: TenantContext, tenant: Arc<Tenant>) {
    context.tenant = tenant;
}

fn main() {}
