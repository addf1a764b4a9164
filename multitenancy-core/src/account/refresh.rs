use secrecy::{ExposeSecret, SecretString};

use super::{Accounts, SignedIn};
use crate::{
    access::{Caller, Context, RequestFacts, require_membership},
    actor::{Actor, Origin},
    audit::Action,
    auth::SessionRevoked,
    error::{Error, ErrorKind, Result, code},
    id::{Plane, SessionId, UserId},
    secret::{Purpose, SecretToken},
    store::UnitOfWorkExt,
};

impl Accounts {
    /// Exchanges a refresh token for its successor and a new access token. The token is spent by one
    /// compare-and-set (S62).
    ///
    /// 401 `invalid_refresh_token` when it is not one of ours, was spent before, its session has ended, or its user
    /// or tenant is gone or not active; 403 `tenant_mismatch` when the request names another tenant than the token.
    pub async fn refresh(&self, refresh_token: &SecretString, facts: &RequestFacts) -> Result<SignedIn> {
        let spent = SecretToken::parse(Purpose::Refresh, refresh_token.expose_secret())
            .ok_or_else(invalid_refresh_token)?;
        let tenant = match spent.plane() {
            Plane::Control => None,
            Plane::Tenant(id) => {
                let found = self.access.find_tenant(&id.into()).await?;
                let tenant = found.ok_or_else(invalid_refresh_token)?;
                tenant.require_active().map_err(|_| invalid_refresh_token())?;
                Some(tenant)
            }
        };
        facts.require_agreement(tenant.as_deref())?;
        let context = Context::resolved(tenant, Origin::anonymous(facts.request_id.clone()));

        let environment = self.access.environment();
        let successor = SecretToken::generate(Purpose::Refresh, context.plane(), environment);
        let mut unit = context.begin(self.access.store()).await?;
        let session = unit
            .sessions()
            .rotate(&spent.digest(), &successor.digest(), environment.now())
            .await?
            .ok_or_else(invalid_refresh_token)?;
        let user = unit.users().find(session.user_id).await?.filter(|user| user.is_active);
        let user = user.ok_or_else(invalid_refresh_token)?;
        require_membership(&**self.access.store(), context.plane(), &user).await.map_err(|error| {
            if error.kind() == ErrorKind::Unauthenticated { invalid_refresh_token() } else { error }
        })?;
        let refreshing = Action::new("session.refreshed", "session", session.id);
        unit.record(refreshing.by(Actor::user(context.plane(), user.id))).await?;
        let signed_in = self.signed_in(&context, user, session.id, successor)?;
        unit.commit()
            .await
            .map_err(|error| if error.is(code::TENANT_INACTIVE) { invalid_refresh_token() } else { error })?;
        Ok(signed_in)
    }

    /// Ends the caller's session; publishes `session.revoked`. Ending it again succeeds.
    ///
    /// Its refresh token is dead at once; its access token at once in this process and within a second in others.
    pub async fn log_out(&self, caller: &Caller) -> Result<()> {
        self.end_session(&caller.context, caller.user_id, caller.session_id).await
    }

    /// Ends the session of an access token: [`log_out`](Self::log_out) for a session that may have ended before, or
    /// whose user is not active any more.
    ///
    /// 401 `invalid_token` when the token is not good; 403 as [`Access::authenticate`](crate::access::Access::authenticate).
    pub async fn log_out_token(&self, access_token: &str, facts: &RequestFacts) -> Result<()> {
        let (claims, context) = self.access.token_context(access_token, facts).await?;
        self.end_session(&context, claims.sub, claims.sid).await
    }

    async fn end_session(&self, context: &Context, user_id: UserId, session_id: SessionId) -> Result<()> {
        let mut unit = context.begin(self.access.store()).await?;
        if unit.sessions().revoke(session_id, self.access.environment().now()).await? {
            unit.publish(SessionRevoked { session_id, user_id }).await?;
            unit.record(Action::new("session.revoked", "session", session_id)).await?;
            unit.commit().await?;
        }
        self.access.forget_session(context.plane(), session_id);
        Ok(())
    }
}

fn invalid_refresh_token() -> Error {
    Error::of(code::INVALID_REFRESH_TOKEN)
}
