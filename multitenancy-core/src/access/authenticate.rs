use std::{fmt, sync::Arc, time::Duration};

use super::{Caller, Context, RequestFacts, directory::TenantDirectory, principals::Principals};
use crate::{
    actor::{Actor, Origin},
    auth::{AccessTokens, Claims},
    environment::{Environment, Timestamp},
    error::Result,
    id::{Plane, SessionId},
    store::Store,
    tenant::{Tenant, TenantContext, TenantKey},
};

/// How many sessions' principals, and how many tenants, are kept in memory.
const CACHED: usize = 10_000;

/// Finds out who asks, and for whom. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    store: Arc<dyn Store>,
    directory: TenantDirectory,
    principals: Arc<Principals>,
    tokens: Arc<AccessTokens>,
}

impl Access {
    /// Access to `store` with these tokens. A tenant that does not change is remembered for `tenant_cache_ttl`; 0 asks
    /// the store each time.
    pub fn new(store: Arc<dyn Store>, tokens: AccessTokens, tenant_cache_ttl: Duration) -> Self {
        let directory = TenantDirectory::new(store.clone(), tenant_cache_ttl, CACHED);
        Self { store, directory, principals: Arc::new(Principals::new(CACHED)), tokens: Arc::new(tokens) }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The time and randomness of the store.
    pub fn environment(&self) -> &Environment {
        self.store.environment()
    }

    /// The access tokens.
    pub fn tokens(&self) -> &AccessTokens {
        &self.tokens
    }

    /// The tenant of any status that `key` names.
    pub async fn find_tenant(&self, key: &TenantKey) -> Result<Option<Arc<Tenant>>> {
        self.directory.find(key, self.environment().now()).await
    }

    /// A session has ended here: its next request is looked up.
    pub(crate) fn forget_session(&self, plane: Plane, session: SessionId) {
        self.principals.forget(plane, session);
    }

    /// Whom a request with this access token belongs to.
    ///
    /// The token decides: a tenant that the request names besides must be the token's own, else 403
    /// `tenant_mismatch`, and whether that other one exists is not even looked up (S1, S57). 401 `invalid_token`
    /// when the token is not good, its session has ended or its user is not active; 403 `tenant_inactive` when the
    /// tenant is not.
    pub async fn authenticate(&self, access_token: &str, facts: &RequestFacts) -> Result<Caller> {
        let now = self.environment().now();
        let (claims, context) = self.token_context_at(access_token, facts, now).await?;
        let roles = self.principals.roles(&claims, &context, &self.store, now).await?;
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
        let claims = self.tokens.verify_at(access_token, now)?;
        let (tenant, actor) = match claims.plane() {
            Plane::Control => (None, Actor::PlatformUser { id: claims.sub }),
            Plane::Tenant(id) => {
                let tenant = self.directory.find(&id.into(), now).await?;
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

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}
