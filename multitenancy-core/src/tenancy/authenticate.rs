use std::sync::Arc;

use super::{Caller, Realm, Tenancy};
use crate::{
    actor::{Actor, Origin, RequestId},
    auth::Claims,
    error::Result,
    id::Plane,
    tenant::{Tenant, TenantContext, TenantKey},
};

/// What a request says of itself, before any of it is believed.
#[derive(Debug, Clone, Default)]
pub struct RequestFacts {
    /// Everything in it that names a tenant: header, host, path. All must agree.
    pub tenant_keys: Vec<TenantKey>,
    /// Its identifier.
    pub request_id: Option<RequestId>,
}

impl Tenancy {
    /// Whom a request with this access token belongs to.
    ///
    /// The token decides: a tenant that the request names besides must be the token's own, else 403
    /// `tenant_mismatch`, and whether that other one exists is not even looked up (S1, S57). 401 `invalid_token`
    /// when the token is not good, its session has ended or its user is not active; 403 `tenant_inactive` when the
    /// tenant is not.
    pub async fn authenticate(&self, access_token: &str, facts: &RequestFacts) -> Result<Caller> {
        let (claims, realm) = self.token_realm(access_token, facts).await?;
        let roles = self.inner.principals.roles(&claims, &realm, &*self.inner.store).await?;
        Ok(Caller { realm, user_id: claims.sub, session_id: claims.sid, roles })
    }

    /// What a token says and where it is good, whatever has become of its session and its user.
    pub(crate) async fn token_realm(
        &self,
        access_token: &str,
        facts: &RequestFacts,
    ) -> Result<(Arc<Claims>, Realm)> {
        let claims = self.inner.tokens.verify(access_token)?;
        let (tenant, actor) = match claims.plane() {
            Plane::Control => (None, Actor::PlatformUser { id: claims.sub }),
            Plane::Tenant(id) => {
                let tenant = self.inner.directory.find(&id.into()).await?;
                let tenant = tenant.ok_or_else(crate::tenant::not_found)?;
                (Some(tenant), Actor::TenantUser { id: claims.sub })
            }
        };
        let agrees = |key: &TenantKey| tenant.as_ref().is_some_and(|tenant| key.names(tenant));
        if !facts.tenant_keys.iter().all(agrees) {
            return Err(crate::tenant::mismatch());
        }
        if let Some(tenant) = &tenant {
            tenant.require_active()?;
        }
        let realm = Realm::new(tenant, Origin { actor, request_id: facts.request_id.clone() });
        Ok((claims, realm))
    }

    /// Where a request without a credential belongs: the tenant it names, or else the platform. There is no default
    /// tenant (S3).
    ///
    /// 404 `tenant_not_found`, 403 `tenant_mismatch` when its parts disagree, 403 `tenant_inactive`.
    pub async fn realm(&self, facts: &RequestFacts) -> Result<Realm> {
        let tenant = self.named_tenant(&facts.tenant_keys).await?;
        Ok(Realm::new(tenant, Origin::anonymous(facts.request_id.clone())))
    }

    /// The tenant a request without a credential names. As [`realm`](Self::realm), and 400 `tenant_required` when it
    /// names none.
    pub async fn tenant_context(&self, facts: &RequestFacts) -> Result<TenantContext> {
        let tenant = self.named_tenant(&facts.tenant_keys).await?.ok_or_else(crate::tenant::required)?;
        Ok(TenantContext::resolved(tenant, Origin::anonymous(facts.request_id.clone())))
    }

    async fn named_tenant(&self, keys: &[TenantKey]) -> Result<Option<Arc<Tenant>>> {
        let Some((first, others)) = keys.split_first() else {
            return Ok(None);
        };
        let tenant = self.inner.directory.find(first).await?.ok_or_else(crate::tenant::not_found)?;
        if !others.iter().all(|key| key.names(&tenant)) {
            return Err(crate::tenant::mismatch());
        }
        tenant.require_active()?;
        Ok(Some(tenant))
    }
}
