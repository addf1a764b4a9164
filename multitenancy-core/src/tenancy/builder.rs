use std::{env::VarError, sync::Arc, time::Duration};

use secrecy::SecretString;

use super::{Inner, Tenancy, worker::Worker};
use crate::{
    access::Access,
    account::{AccountConfig, Accounts, Welcome},
    auth::{AccessTokens, HashingConfig, KeyRing, PasswordHasher, PasswordPolicy, SigningKey, TokenConfig},
    bus::{EventBus, InProcessBus, Subscription},
    error::{Error, Result},
    mail::{LogMailer, Mailer},
    organization::Organizations,
    permission::{Grants, GrantsBuilder, Permission},
    relay::{Relay, RelayConfig},
    store::Store,
    tenant::Resolution,
    user::Role,
};

/// Composes a [`Tenancy`]. Every part has a default but the signing key: see [`build`](Self::build).
pub struct TenancyBuilder {
    store: Arc<dyn Store>,
    keys: Option<KeyRing>,
    tokens: TokenConfig,
    hashing: HashingConfig,
    accounts: AccountConfig,
    tenant_cache_ttl: Duration,
    resolution: Resolution,
    grants: GrantsBuilder,
    mailer: Arc<dyn Mailer>,
    bus: Arc<dyn EventBus>,
    subscriptions: Vec<Subscription>,
    relay: RelayConfig,
    background: bool,
}

/// The variable [`TenancyBuilder::build`] reads when no key was given.
const SECRET_VARIABLE: &str = "JWT_SECRET";

/// The longest a tenant is remembered.
const YEAR: Duration = Duration::from_secs(31_536_000);

impl TenancyBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            keys: None,
            tokens: TokenConfig::default(),
            hashing: HashingConfig::default(),
            accounts: AccountConfig::default(),
            tenant_cache_ttl: Duration::from_secs(3600),
            resolution: Resolution::default(),
            grants: Grants::builder(),
            mailer: Arc::new(LogMailer),
            bus: Arc::new(InProcessBus::default()),
            subscriptions: Vec::new(),
            relay: RelayConfig::default(),
            background: true,
        }
    }

    /// The keys of access tokens.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// How access tokens are made.
    #[must_use]
    pub fn tokens(mut self, config: TokenConfig) -> Self {
        self.tokens = config;
        self
    }

    /// How passwords are hashed.
    #[must_use]
    pub fn hashing(mut self, config: HashingConfig) -> Self {
        self.hashing = config;
        self
    }

    /// Which new passwords are accepted. Default: [`PasswordPolicy::default`].
    #[must_use]
    pub fn password_policy(mut self, policy: PasswordPolicy) -> Self {
        self.accounts.password_policy = policy;
        self
    }

    /// How long a session goes on, used or not: 1 s to 365 days. Default 604,800 s (7 days).
    #[must_use]
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.accounts.session_lifetime = lifetime;
        self
    }

    /// Whether anybody may register in a tenant, and become a member of it, by themselves. Default: yes. Say no where a
    /// tenant's data is not for everybody who knows its name.
    #[must_use]
    pub fn tenant_registration(mut self, open: bool) -> Self {
        self.accounts.tenant_registration = open;
        self
    }

    /// How long a tenant is remembered that does not change: at most 365 days; 0 asks the store each time. Default
    /// 3,600 s.
    #[must_use]
    pub fn tenant_cache_ttl(mut self, ttl: Duration) -> Self {
        self.tenant_cache_ttl = ttl;
        self
    }

    /// How a request names its tenant. Default: by header only.
    #[must_use]
    pub fn resolution(mut self, resolution: Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    /// Grants an application's permission to a built-in role and to those above it.
    #[must_use]
    pub fn grant<P: Permission>(mut self, role: Role) -> Self {
        self.grants = self.grants.grant::<P>(&role);
        self
    }

    /// The sender of mail. Default: [`LogMailer`].
    #[must_use]
    pub fn mailer(mut self, mailer: impl Mailer + 'static) -> Self {
        self.mailer = Arc::new(mailer);
        self
    }

    /// Where events are delivered to. Default: [`InProcessBus`].
    #[must_use]
    pub fn bus(mut self, bus: impl EventBus + 'static) -> Self {
        self.bus = Arc::new(bus);
        self
    }

    /// Adds an event subscriber.
    #[must_use]
    pub fn subscribe(mut self, subscription: Subscription) -> Self {
        self.subscriptions.push(subscription);
        self
    }

    /// How events are relayed.
    #[must_use]
    pub fn relay(mut self, config: RelayConfig) -> Self {
        self.relay = config;
        self
    }

    /// Without the task that relays events and finishes what a crash has left: for tests, which drive
    /// [`Tenancy::relay`] and [`Organizations::resume`] by hand, and for processes that leave both to another.
    #[must_use]
    pub fn without_background_work(mut self) -> Self {
        self.background = false;
        self
    }

    /// The composed application. Call it inside a Tokio runtime, unless
    /// [without background work](Self::without_background_work).
    ///
    /// Without [`keys`](Self::keys) the signing secret is taken from `JWT_SECRET`, when that is not empty, or else from
    /// the store, if it is an embedded one that keeps a random secret beside its data. A short or sample secret, none
    /// at all, and a value out of its bounds are errors that say what to do (S51).
    pub fn build(self) -> Result<Tenancy> {
        self.resolution.check()?;
        if self.tenant_cache_ttl > YEAR {
            let seconds = self.tenant_cache_ttl.as_secs();
            return Err(Error::config(format!(
                "a tenant may be remembered for at most 365 days, not {seconds} s"
            )));
        }
        let environment = self.store.environment().clone();
        let keys = match self.keys {
            Some(keys) => keys,
            None => default_keys(&*self.store)?,
        };
        let (store, bus, mailer) = (self.store, self.bus, self.mailer);
        bus.subscribe(Welcome::subscription(store.clone(), mailer.clone())?)?;
        for subscription in self.subscriptions {
            bus.subscribe(subscription)?;
        }
        let tokens = AccessTokens::new(self.tokens, keys, environment.clone())?;
        let access = Access::new(store.clone(), tokens, self.tenant_cache_ttl);
        let hasher = PasswordHasher::new(&self.hashing, environment)?;
        let accounts = Accounts::new(access.clone(), hasher, self.accounts)?;
        let organizations = Organizations::new(access.clone());
        let relay = Relay::new(store.clone(), bus.clone(), self.relay);
        let inner = Inner {
            resolution: self.resolution,
            grants: self.grants.build()?,
            _worker: if self.background { Some(Worker::spawn(store, relay.clone())?) } else { None },
            access,
            accounts,
            organizations,
            relay,
            mailer,
            bus,
        };
        Ok(Tenancy { inner: Arc::new(inner) })
    }
}

fn default_keys(store: &dyn Store) -> Result<KeyRing> {
    let secret = match std::env::var(SECRET_VARIABLE) {
        Ok(text) if !text.is_empty() => Some(SecretString::from(text)),
        Err(VarError::NotUnicode(_)) => return Err(Error::config(format!("{SECRET_VARIABLE} is not UTF-8"))),
        Ok(_) | Err(VarError::NotPresent) => store.local_secret("jwt")?,
    };
    let secret = secret.ok_or_else(|| {
        Error::config(format!(
            "{SECRET_VARIABLE} is not set; give at least 32 random bytes, for example from `openssl rand -base64 48`"
        ))
    })?;
    Ok(KeyRing::new(SigningKey::hs256(&secret)?))
}
