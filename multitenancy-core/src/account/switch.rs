use super::{Accounts, SignedIn};
use crate::{
    access::{Caller, Context, RequestFacts, live_user},
    actor::{Actor, Origin},
    auth::Client,
    error::Result,
    tenant::TenantKey,
};

impl Accounts {
    /// Lets a user of the platform enter a tenant they belong to, as their user there. The membership is read now,
    /// not believed from a token (S67). What `facts` name is where they go, not where they are.
    ///
    /// 404 `tenant_not_found` alike for a tenant that is not there and for one they do not belong to; 403
    /// `tenant_mismatch` when the request names another tenant than `key`; 403 `tenant_inactive`; 403 `wrong_scope` for
    /// a caller who is not of the platform.
    pub async fn switch(
        &self,
        caller: &Caller,
        key: &TenantKey,
        facts: &RequestFacts,
        client: Client,
    ) -> Result<SignedIn> {
        let control = caller.control_context()?;
        let tenant = self.access.find_tenant(key).await?.ok_or_else(crate::tenant::not_found)?;
        let mut unit = self.access.store().read_control(control).await?;
        live_user(&mut *unit, caller.session_id, caller.user_id).await?;
        let membership = unit.memberships().find(tenant.id, caller.user_id).await?;
        drop(unit);
        // First whether it is theirs: nobody learns from a mismatch which other tenants there are (S80).
        membership.ok_or_else(crate::tenant::not_found)?;
        facts.require_agreement(Some(&tenant))?;
        tenant.require_active()?;

        let actor = Actor::PlatformUser { id: caller.user_id };
        let request_id = control.origin().request_id.clone();
        let context = Context::resolved(Some(tenant), Origin { actor, request_id });
        let mut unit = context.begin(self.access.store()).await?;
        let user = unit.users().find_by_platform_user(caller.user_id).await?;
        let user = user.ok_or_else(crate::tenant::not_found)?;
        let signed_in = self.begin_session(&mut *unit, &context, user, client).await?;
        unit.commit().await?;
        Ok(signed_in)
    }
}
