use std::time::Duration;

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};

use super::Accounts;
use crate::{
    access::Context,
    actor::Actor,
    audit::Action,
    auth::{Client, Scope, Session, SessionCreated, Verification},
    error::{Error, Result, code},
    id::{SessionId, TenantId, UserId},
    secret::{Purpose, SecretToken},
    store::{UnitOfWork, UnitOfWorkExt},
    user::{Email, User, UserLoggedIn},
};

/// What somebody signs in with. The address is not parsed: one that can not be anybody's is just wrong.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The address.
    pub email: String,
    /// The password.
    pub password: SecretString,
}

/// Somebody who has just signed in, with the tokens to show it.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Goes with every request.
    pub access_token: SecretString,
    /// Is exchanged for new tokens, once.
    pub refresh_token: SecretToken,
    /// How long the access token is good.
    pub expires_in: Duration,
    /// The plane the tokens are good on.
    pub scope: Scope,
    /// The tenant of the tokens.
    pub tenant_id: Option<TenantId>,
    /// Who it is.
    pub user: User,
}

/// How far a login has come.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SignIn {
    /// The user is signed in.
    Complete(Box<SignedIn>),
    /// The password is proven, and a second factor is asked for. No use case answers so yet.
    Challenge(Challenge),
}

impl SignIn {
    /// The tokens, for callers that know no further step; an internal error when one is asked for.
    pub fn complete(self) -> Result<SignedIn> {
        match self {
            Self::Complete(signed_in) => Ok(*signed_in),
            Self::Challenge(_) => Err(Error::internal("the sign-in asks for a second factor")),
        }
    }
}

/// A second factor that is asked for. It gives no access: the ticket is good for answering and for nothing else.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Challenge {
    /// Names this sign-in to the use case that takes the answer. Opaque.
    pub ticket: SecretString,
    /// The ways to answer that this user has, such as `totp`; an open set.
    pub ways: Vec<String>,
}

/// No password is longer, so none is hashed that is (S35).
const MAX_PASSWORD_BYTES: usize = 1024;

impl Accounts {
    /// Signs somebody in, on the platform or in a tenant, as `context` says; publishes `session.created` and
    /// `user.logged_in`.
    ///
    /// Unknown, wrong, without a password, inactive: until the password is proven all get the same 401
    /// `invalid_credentials` after the same work (S41, S42). Once it is proven, an inactive user gets 403
    /// `account_inactive`.
    pub async fn log_in(
        &self,
        context: &Context,
        credentials: Credentials,
        client: Client,
    ) -> Result<SignIn> {
        let Credentials { email, password } = credentials;
        if password.expose_secret().len() > MAX_PASSWORD_BYTES {
            return Err(invalid_credentials());
        }
        let mut unit = context.read(self.access.store()).await?;
        let user = match email.parse::<Email>() {
            Ok(email) => unit.users().find_by_email(&email).await?,
            Err(_) => None,
        };
        let nobody = UserId::from_uuid(uuid::Uuid::nil());
        let stored = unit.users().password_hash(user.as_ref().map_or(nobody, |user| user.id)).await?;
        drop(unit);

        let verification = self.hasher.verify(password.clone(), stored.clone()).await?;
        let (Some(user), Verification::Right | Verification::RightButOutdated) = (user, verification) else {
            return Err(invalid_credentials());
        };
        let rehashed = match verification {
            Verification::RightButOutdated => Some(self.hasher.hash(password).await?),
            _ => None,
        };

        let mut unit = context.begin(self.access.store()).await?;
        // What was true before the hashing may not be any more.
        let user = unit.users().find_for_update(user.id).await?.ok_or_else(invalid_credentials)?;
        if unit.users().password_hash(user.id).await? != stored {
            return Err(invalid_credentials());
        }
        if let Some(hash) = &rehashed {
            unit.users().set_password_hash(user.id, hash).await?;
        }
        let signed_in = self.begin_session(&mut *unit, context, user, client).await?;
        unit.commit().await?;
        Ok(SignIn::Complete(Box::new(signed_in)))
    }

    /// Begins a session of `user` in `unit`, which the caller commits.
    pub(super) async fn begin_session(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
        mut user: User,
        client: Client,
    ) -> Result<SignedIn> {
        if !user.is_active {
            return Err(Error::of(code::ACCOUNT_INACTIVE));
        }
        let environment = self.access.environment();
        let now = environment.now();
        let lifetime = TimeDelta::from_std(self.config.session_lifetime).map_err(Error::internal)?;
        let session = Session {
            id: SessionId::generate(environment),
            user_id: user.id,
            created_at: now,
            last_used_at: now,
            expires_at: now + lifetime,
            revoked_at: None,
            client,
        };
        let refresh_token = SecretToken::generate(Purpose::Refresh, context.plane(), environment);
        unit.sessions().insert(&session, &refresh_token.digest()).await?;
        unit.users().record_login(user.id, now).await?;
        unit.publish(SessionCreated { session_id: session.id, user_id: user.id }).await?;
        unit.publish(UserLoggedIn { user_id: user.id, session_id: session.id }).await?;
        let signing_in = Action::new("session.created", "session", session.id);
        unit.record(signing_in.by(Actor::user(context.plane(), user.id))).await?;
        user.last_login_at = Some(now);
        self.signed_in(context, user, session.id, refresh_token)
    }

    pub(super) fn signed_in(
        &self,
        context: &Context,
        user: User,
        session: SessionId,
        refresh_token: SecretToken,
    ) -> Result<SignedIn> {
        let access_token = self.access.tokens().issue(context.plane(), user.id, session, &user.roles)?;
        Ok(SignedIn {
            access_token: access_token.into(),
            refresh_token,
            expires_in: self.access.tokens().ttl(),
            scope: context.scope(),
            tenant_id: context.plane().tenant(),
            user,
        })
    }
}

fn invalid_credentials() -> Error {
    Error::of(code::INVALID_CREDENTIALS)
}
