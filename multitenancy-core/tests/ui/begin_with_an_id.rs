//! An id is no evidence: neither a request's nor a tenant's own opens anything.

use multitenancy_core::{ControlContext, Store, Tenant, TenantId};

async fn trusting(store: &dyn Store, id: TenantId, tenant: Tenant, control: ControlContext) {
    let _ = store.begin(&id).await;
    let _ = store.begin(&tenant).await;
    let _ = store.begin(&control).await;
    let _ = store.begin(&"acme").await;
}

fn main() {}
