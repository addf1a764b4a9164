use std::{process::Command, sync::Arc};

use multitenancy_core::{
    Caller, Context, Environment, ErrorKind, Result, Role, Store, Tenancy, TenancyBuilder, Tenant,
    TenantContext, TenantId, User,
    access::RequestFacts,
    account::{Credentials, Registration, SignedIn},
    auth::{Client, KeyRing, SigningKey},
    event::Envelope,
    memory::MemoryStore,
    organization::NewOrganization,
    tenant::TenantStatus,
};
use multitenancy_testkit::{MemoryMailer, MockClock, ProbedStore, SeededRandom, fixtures};
use secrecy::{ExposeSecret, SecretString};

pub const PASSWORD: &str = "lintel-walnut-46-orbit";
pub const SECRET: &str = "kX2v9QeT7mZr4LbN8wYc1HsJ5dFg3PaU";
pub const ADA: &str = "ada@example.com";

/// An application on a store in memory, with a clock that is told the time.
pub struct App {
    pub store: Arc<dyn Store>,
    pub tenancy: Tenancy,
    pub clock: MockClock,
    pub mailer: MemoryMailer,
}

/// A use case that changes a noun without an audit record fails its test.
fn audited(store: Arc<dyn Store>) -> Arc<dyn Store> {
    Arc::new(ProbedStore::new(store, async |_| Ok(())).requiring_audit())
}

impl App {
    pub fn new() -> Self {
        Self::composed(|store| store, |builder| builder)
    }

    /// With a store before the application's own, and changes to its composition. [`App::store`] stays the bare one.
    pub fn composed(
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
        compose: impl FnOnce(TenancyBuilder) -> TenancyBuilder,
    ) -> Self {
        let clock = MockClock::default();
        let environment = Environment::new(Arc::new(clock.clone()), Arc::new(SeededRandom::from_env()));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(environment));
        let mailer = MemoryMailer::default();
        let tenancy = compose(builder(audited(wrap(store.clone()))).mailer(mailer.clone())).build().unwrap();
        Self { store, tenancy, clock, mailer }
    }

    pub async fn platform(&self) -> Context {
        self.tenancy.access().context(&RequestFacts::default()).await.unwrap()
    }

    /// A new tenant, and its realm.
    pub async fn tenant(&self, slug: &str) -> (TenantContext, Context) {
        let context = fixtures::active_tenant(&*self.store, slug).await;
        let realm = self.tenancy.access().context(&naming(&[slug])).await.unwrap();
        (context, realm)
    }

    pub async fn register(&self, realm: &Context, address: &str) -> User {
        self.tenancy.accounts().register(realm, registration(address)).await.unwrap()
    }

    pub async fn log_in(&self, realm: &Context, address: &str) -> Result<SignedIn> {
        self.tenancy
            .accounts()
            .log_in(realm, credentials(address, PASSWORD), Client::default())
            .await?
            .complete()
    }

    pub async fn authenticate(&self, signed_in: &SignedIn) -> Result<Caller> {
        self.tenancy
            .access()
            .authenticate(signed_in.access_token.expose_secret(), &RequestFacts::default())
            .await
    }

    /// Somebody new who has signed in.
    pub async fn caller(&self, realm: &Context, address: &str) -> Caller {
        self.register(realm, address).await;
        let signed_in = self.log_in(realm, address).await.unwrap();
        self.authenticate(&signed_in).await.unwrap()
    }

    /// Somebody new of the platform, and their organization.
    pub async fn owner_of(&self, slug: &str) -> (Caller, Tenant) {
        self.owner_of_slug(slug, &format!("owner-of-{slug}@example.com")).await
    }

    /// Likewise, of somebody with this address.
    pub async fn owner_of_slug(&self, slug: &str, address: &str) -> (Caller, Tenant) {
        let owner = self.caller(&self.platform().await, address).await;
        let tenant = self.tenancy.organizations().create(&owner, organization(slug)).await.unwrap();
        (owner, tenant)
    }
}

/// A composition with the signing key of these tests and without background work.
pub fn builder(store: Arc<dyn Store>) -> TenancyBuilder {
    let key = SigningKey::hs256(&SECRET.into()).unwrap();
    Tenancy::builder_dyn(store).keys(KeyRing::new(key)).without_background_work()
}

pub fn registration(address: &str) -> Registration {
    Registration { email: address.into(), password: PASSWORD.into(), full_name: None }
}

pub fn credentials(address: &str, password: &str) -> Credentials {
    Credentials { email: address.to_owned(), password: password.into() }
}

pub fn organization(slug: &str) -> NewOrganization {
    NewOrganization { name: slug.parse().unwrap(), slug: Some(slug.parse().unwrap()), isolation: None }
}

/// The facts of a request that names these tenants, by id or slug.
pub fn naming(keys: &[&str]) -> RequestFacts {
    let tenant_keys = keys.iter().map(|key| key.parse().unwrap()).collect();
    RequestFacts { tenant_keys, ..RequestFacts::default() }
}

pub fn refresh_token(signed_in: &SignedIn) -> SecretString {
    signed_in.refresh_token.expose().into()
}

/// The kind, the code and the text of a failure: all that a client can learn of it.
#[track_caller]
pub fn shown<T>(outcome: Result<T>) -> (ErrorKind, &'static str, String) {
    let error = multitenancy_testkit::failure(outcome);
    (error.kind(), error.code(), error.to_string())
}

#[track_caller]
pub fn code<T>(outcome: Result<T>) -> &'static str {
    shown(outcome).1
}

pub fn member() -> Vec<Role> {
    vec![Role::MEMBER]
}

/// The undelivered events of a plane: those that are due, one after the other of each aggregate.
pub async fn published(store: &Arc<dyn Store>, plane: &Context) -> Vec<Envelope> {
    let mut events = Vec::new();
    // Looked at in a unit that is dropped, so they stay.
    let mut unit = plane.begin(store).await.unwrap();
    loop {
        let lease = fixtures::lease();
        let claim = unit.outbox().claim(lease, fixtures::instant(), fixtures::after(1), 100).await.unwrap();
        if claim.events.is_empty() {
            events.sort_by_key(|event: &Envelope| event.sequence);
            return events;
        }
        for event in claim.events {
            assert!(unit.outbox().delivered(lease, event.envelope.event_id).await.unwrap());
            events.push(event.envelope);
        }
    }
}

/// Moves a tenant on, behind the application's back.
pub async fn set_status(store: &Arc<dyn Store>, id: TenantId, from: TenantStatus, to: TenantStatus) {
    fixtures::set_status(&**store, id, from, to).await.unwrap();
}

/// Whether this is a process of the test's own. If not, runs the test again in one, with these variables besides, and
/// returns what it has printed: for what all threads of a process share, such as its memory and its environment.
pub fn alone(test: &str, variables: &[(&str, &str)]) -> Result<(), String> {
    const ALONE: &str = "TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return Ok(());
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env_remove("JWT_SECRET").env(ALONE, "1");
    let output = child.envs(variables.iter().copied()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{printed}");
    Err(printed)
}
