use secrecy::SecretString;

use super::Accounts;
use crate::{
    access::Context,
    actor::Actor,
    audit::Action,
    error::{Error, Result, both, code},
    id::UserId,
    store::UnitOfWorkExt,
    user::{Email, ProfileUpdate, Role, User, UserCreated, email_taken},
};

/// Somebody who wants an account.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The address to sign in with; parsed with the rest, so that every refused value is named.
    pub email: String,
    /// The password to sign in with.
    pub password: SecretString,
    /// The whole name.
    pub full_name: Option<String>,
}

impl Accounts {
    /// Registers a user on the platform or in a tenant, as `context` says, with the role `member`; publishes
    /// `user.created`.
    ///
    /// 403 `registration_closed` where [tenants are closed](super::AccountConfig::tenant_registration), 422 naming
    /// every refused value, 409 `email_taken`, 503 when too many passwords wait to be hashed.
    pub async fn register(&self, context: &Context, registration: Registration) -> Result<User> {
        if context.tenant().is_some() && !self.config.tenant_registration {
            return Err(Error::of(code::REGISTRATION_CLOSED));
        }
        let Registration { email, password, full_name } = registration;
        let environment = self.access.environment();
        let now = environment.now();
        let email = email.parse::<Email>();
        // A password is not judged by an address that is refused: it may be of any length.
        let address = email.as_ref().map_or_else(|_| Email::from_stored(String::new()), Clone::clone);
        let mut user = User::new(UserId::generate(environment), address, vec![Role::MEMBER], now);
        let named = ProfileUpdate { full_name, ..ProfileUpdate::default() }.apply(&mut user, now);
        let names = context
            .tenant()
            .into_iter()
            .flat_map(|tenant| [tenant.name.as_str(), tenant.slug.as_str()])
            .chain(user.profile.full_name.as_deref())
            .map(str::to_owned)
            .collect();
        let policy = self.config.password_policy.clone();
        let judged = self.hasher.judge(policy, password.clone(), user.email.clone(), names).await;
        both(email, both(named, judged))?;

        // An address that is taken is refused before the work of hashing, and again by the store.
        let mut unit = context.read(self.access.store()).await?;
        let taken = unit.users().find_by_email(&user.email).await?.is_some();
        drop(unit);
        if taken {
            return Err(email_taken());
        }
        let hash = self.hasher.hash(password).await?;

        let mut unit = context.begin(self.access.store()).await?;
        unit.users().insert(&user, Some(&hash)).await?;
        unit.publish(UserCreated { user_id: user.id, platform_user_id: None }).await?;
        let registering = Action::new("user.created", "user", user.id);
        unit.record(registering.by(Actor::user(context.plane(), user.id))).await?;
        unit.commit().await?;
        Ok(user)
    }
}
