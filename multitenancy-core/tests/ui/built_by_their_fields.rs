//! What is evidence has no public fields: contexts and callers.

use std::sync::Arc;

use multitenancy_core::{
    Caller, ControlContext, Context, Role, SessionId, Tenant, TenantContext, UserId, actor::Origin,
};

fn tenant_context(tenant: Arc<Tenant>, origin: Origin) -> TenantContext {
    TenantContext { tenant, origin }
}

fn control_context(origin: Origin) -> ControlContext {
    ControlContext { origin }
}

fn caller(context: Context, user_id: UserId, session_id: SessionId) -> Caller {
    Caller { context, user_id, session_id, roles: Arc::new([Role::OWNER]) }
}

fn main() {}
