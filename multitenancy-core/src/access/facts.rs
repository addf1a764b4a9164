use crate::{
    actor::RequestId,
    error::Result,
    tenant::{self, Tenant, TenantKey},
};

/// What a request says of itself, before any of it is believed.
#[derive(Debug, Clone, Default)]
pub struct RequestFacts {
    /// What in it chooses a tenant: headers, host. All must agree.
    pub tenant_keys: Vec<TenantKey>,
    /// What in it names a tenant without choosing one: query parameters. All must agree with what chooses.
    pub asserted_keys: Vec<TenantKey>,
    /// Its identifier.
    pub request_id: Option<RequestId>,
}

impl RequestFacts {
    /// Refuses a request that names another tenant than this, or one where it belongs to none: 403 `tenant_mismatch`.
    /// Whether that other one exists is not looked up.
    pub(crate) fn require_agreement(&self, tenant: Option<&Tenant>) -> Result<()> {
        let agrees = |key: &TenantKey| tenant.is_some_and(|tenant| key.names(tenant));
        if self.tenant_keys.iter().chain(&self.asserted_keys).all(agrees) {
            return Ok(());
        }
        Err(tenant::mismatch())
    }
}
