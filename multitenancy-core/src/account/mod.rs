//! The use cases of accounts: register, log in, refresh, switch, log out, and the own profile.

mod login;
mod profile;
mod refresh;
mod register;
mod switch;
mod welcome;

use std::{fmt, sync::Arc, time::Duration};

pub use self::{
    login::{Challenge, Credentials, SignIn, SignedIn},
    register::Registration,
    welcome::Welcome,
};
use crate::{
    access::Access,
    auth::{PasswordHasher, PasswordPolicy},
    error::{Error, Result},
};

/// What an application decides about its accounts.
#[derive(Debug, Clone)]
pub struct AccountConfig {
    /// Which new passwords are accepted. Default: [`PasswordPolicy::default`].
    pub password_policy: PasswordPolicy,
    /// How long a session lasts, used or not: 1 s to 365 days. Default 604,800 s (7 days).
    pub session_lifetime: Duration,
    /// Whether a tenant is open to registration. Default: yes.
    pub tenant_registration: bool,
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self {
            password_policy: PasswordPolicy::default(),
            session_lifetime: Duration::from_secs(604_800),
            tenant_registration: true,
        }
    }
}

/// The use cases of accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    access: Access,
    hasher: PasswordHasher,
    config: Arc<AccountConfig>,
}

impl Accounts {
    /// The longest life of a session: beyond lie mistakes, and the ends of the calendar.
    const MAX_LIFETIME: Duration = Duration::from_secs(31_536_000);

    /// Accounts as `config` says. A value out of its bounds is an error.
    pub fn new(access: Access, hasher: PasswordHasher, config: AccountConfig) -> Result<Self> {
        if !(Duration::from_secs(1)..=Self::MAX_LIFETIME).contains(&config.session_lifetime) {
            let seconds = config.session_lifetime.as_secs();
            return Err(Error::config(format!("a session must last 1 s to 365 days, not {seconds} s")));
        }
        Ok(Self { access, hasher, config: Arc::new(config) })
    }

    /// Which new passwords are accepted.
    pub fn password_policy(&self) -> &PasswordPolicy {
        &self.config.password_policy
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("config", &self.config).finish_non_exhaustive()
    }
}
