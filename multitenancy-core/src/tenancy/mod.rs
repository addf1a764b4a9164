//! The application's composition: a store, and every service wired to it.

mod authenticate;
mod builder;
mod directory;
mod principals;
mod worker;

use std::{fmt, sync::Arc, time::Duration};

pub(crate) use self::principals::{live_user, require_membership};
pub use self::{authenticate::RequestFacts, builder::TenancyBuilder};
use self::{directory::TenantDirectory, principals::Principals, worker::Worker};
use tokio::sync::Semaphore;

use crate::{
    auth::{AccessTokens, PasswordHasher, PasswordPolicy},
    bus::EventBus,
    environment::{Environment, Timestamp},
    error::Result,
    mail::Mailer,
    permission::Grants,
    relay::Relay,
    store::Store,
    tenant::{Resolution, Tenant, TenantKey},
};

/// The composed application. Cheap to clone; the background work ends with the last clone.
///
/// Its methods are the use cases: registering and signing in in `account`, creating organizations in
/// `organization`, finding out whom a request belongs to here.
#[derive(Clone)]
pub struct Tenancy {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub store: Arc<dyn Store>,
    pub directory: TenantDirectory,
    pub principals: Principals,
    pub tokens: AccessTokens,
    pub hasher: PasswordHasher,
    pub password_policy: PasswordPolicy,
    pub session_lifetime: Duration,
    pub tenant_registration: bool,
    /// Bounds how many organizations are made at once.
    pub creations: Arc<Semaphore>,
    pub resolution: Resolution,
    pub grants: Grants,
    pub mailer: Arc<dyn Mailer>,
    pub bus: Arc<dyn EventBus>,
    pub relay: Relay,
    pub started_at: Timestamp,
    /// Held for its drop.
    _worker: Option<Worker>,
}

impl Tenancy {
    /// Composes an application around `store`.
    pub fn builder(store: impl Store) -> TenancyBuilder {
        TenancyBuilder::new(Arc::new(store))
    }

    /// Composes an application around a store that was chosen at run time.
    pub fn builder_dyn(store: Arc<dyn Store>) -> TenancyBuilder {
        TenancyBuilder::new(store)
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The time and randomness of the store.
    pub fn environment(&self) -> &Environment {
        self.inner.store.environment()
    }

    /// Which role may do what.
    pub fn grants(&self) -> &Grants {
        &self.inner.grants
    }

    /// How a request names its tenant.
    pub fn resolution(&self) -> &Resolution {
        &self.inner.resolution
    }

    /// Which new passwords are accepted.
    pub fn password_policy(&self) -> &PasswordPolicy {
        &self.inner.password_policy
    }

    /// The event bus, to subscribe to.
    pub fn bus(&self) -> &Arc<dyn EventBus> {
        &self.inner.bus
    }

    /// The sender of mail.
    pub fn mailer(&self) -> &Arc<dyn Mailer> {
        &self.inner.mailer
    }

    /// The relay, to drive by hand where the background work is switched off.
    pub fn relay(&self) -> &Relay {
        &self.inner.relay
    }

    /// The access tokens.
    pub fn tokens(&self) -> &AccessTokens {
        &self.inner.tokens
    }

    /// The tenant of any status that `key` names.
    pub async fn find_tenant(&self, key: &TenantKey) -> Result<Option<Arc<Tenant>>> {
        self.inner.directory.find(key, self.environment().now()).await
    }
}

impl fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenancy").finish_non_exhaustive()
    }
}
