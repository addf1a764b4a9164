use std::sync::Arc;

use super::Tenancy;
use crate::{
    access::{Caller, Context},
    actor::{Actor, Origin, RequestId},
    auth::Claims,
    environment::Timestamp,
    error::Result,
    id::Plane,
    tenant::{Tenant, TenantContext, TenantKey},
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
        Err(crate::tenant::mismatch())
    }
}

impl Tenancy {
    /// Whom a request with this access token belongs to.
    ///
    /// The token decides: a tenant that the request names besides must be the token's own, else 403
    /// `tenant_mismatch`, and whether that other one exists is not even looked up (S1, S57). 401 `invalid_token`
    /// when the token is not good, its session has ended or its user is not active; 403 `tenant_inactive` when the
    /// tenant is not.
    pub async fn authenticate(&self, access_token: &str, facts: &RequestFacts) -> Result<Caller> {
        let now = self.environment().now();
        let (claims, context) = self.token_context_at(access_token, facts, now).await?;
        let roles = self.inner.principals.roles(&claims, &context, &self.inner.store, now).await?;
        Ok(Caller { context, user_id: claims.sub, session_id: claims.sid, roles })
    }

    /// What a token says and where it is good, whatever has become of its session and its user.
    pub(crate) async fn token_context(
        &self,
        access_token: &str,
        facts: &RequestFacts,
    ) -> Result<(Arc<Claims>, Context)> {
        self.token_context_at(access_token, facts, self.environment().now()).await
    }

    async fn token_context_at(
        &self,
        access_token: &str,
        facts: &RequestFacts,
        now: Timestamp,
    ) -> Result<(Arc<Claims>, Context)> {
        let claims = self.inner.tokens.verify_at(access_token, now)?;
        let (tenant, actor) = match claims.plane() {
            Plane::Control => (None, Actor::PlatformUser { id: claims.sub }),
            Plane::Tenant(id) => {
                let tenant = self.inner.directory.find(&id.into(), now).await?;
                let tenant = tenant.ok_or_else(crate::tenant::not_found)?;
                (Some(tenant), Actor::TenantUser { id: claims.sub })
            }
        };
        facts.require_agreement(tenant.as_deref())?;
        if let Some(tenant) = &tenant {
            tenant.require_active()?;
        }
        let context = Context::resolved(tenant, Origin { actor, request_id: facts.request_id.clone() });
        Ok((claims, context))
    }

    /// Where a request without a credential belongs: the tenant it chooses, or else the platform. There is no default
    /// tenant (S3).
    ///
    /// 404 `tenant_not_found`, 403 `tenant_mismatch` when its parts disagree or it names a tenant without choosing
    /// one, 403 `tenant_inactive`.
    pub async fn context(&self, facts: &RequestFacts) -> Result<Context> {
        let tenant = self.chosen_tenant(facts).await?;
        Ok(Context::resolved(tenant, Origin::anonymous(facts.request_id.clone())))
    }

    /// The tenant a request without a credential chooses. As [`context`](Self::context), and 400 `tenant_required` when
    /// it chooses none.
    pub async fn tenant_context(&self, facts: &RequestFacts) -> Result<TenantContext> {
        let tenant = self.chosen_tenant(facts).await?.ok_or_else(crate::tenant::required)?;
        Ok(TenantContext::resolved(tenant, Origin::anonymous(facts.request_id.clone())))
    }

    async fn chosen_tenant(&self, facts: &RequestFacts) -> Result<Option<Arc<Tenant>>> {
        let tenant = match facts.tenant_keys.first() {
            Some(key) => Some(self.find_tenant(key).await?.ok_or_else(crate::tenant::not_found)?),
            None => None,
        };
        facts.require_agreement(tenant.as_deref())?;
        if let Some(tenant) = &tenant {
            tenant.require_active()?;
        }
        Ok(tenant)
    }
}
