//! The application's composition: a store, and every service wired to it. Nothing imports it.

mod builder;
mod worker;

use std::{fmt, sync::Arc};

pub use self::builder::TenancyBuilder;
use self::worker::Worker;
use crate::{
    access::Access, account::Accounts, bus::EventBus, environment::Environment, mail::Mailer,
    organization::Organizations, permission::Grants, relay::Relay, store::Store, tenant::Resolution,
};

/// The composed application. Cheap to clone; the background work ends with the last clone.
#[derive(Clone)]
pub struct Tenancy {
    inner: Arc<Inner>,
}

struct Inner {
    access: Access,
    accounts: Accounts,
    organizations: Organizations,
    resolution: Resolution,
    grants: Grants,
    mailer: Arc<dyn Mailer>,
    bus: Arc<dyn EventBus>,
    relay: Relay,
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

    /// Who asks, and for whom.
    pub fn access(&self) -> &Access {
        &self.inner.access
    }

    /// Registering, signing in and out, and the own profile.
    pub fn accounts(&self) -> &Accounts {
        &self.inner.accounts
    }

    /// Creating organizations, and reading them.
    pub fn organizations(&self) -> &Organizations {
        &self.inner.organizations
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.inner.access.store()
    }

    /// The time and randomness of the store.
    pub fn environment(&self) -> &Environment {
        self.inner.access.environment()
    }

    /// Which role may do what.
    pub fn grants(&self) -> &Grants {
        &self.inner.grants
    }

    /// How a request names its tenant.
    pub fn resolution(&self) -> &Resolution {
        &self.inner.resolution
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
}

impl fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenancy").finish_non_exhaustive()
    }
}
