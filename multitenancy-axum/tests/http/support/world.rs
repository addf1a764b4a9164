use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::{Router, http::Method};
use multitenancy_axum::{Tenancy, app, openapi};
use multitenancy_core::{
    Clock, ControlContext, Environment, Role, Store, TenantContext, TenantId, Timestamp, UserId,
    auth::{KeyRing, SigningKey},
    environment::{SystemClock, SystemRandom},
    memory::MemoryStore,
    tenancy::TenancyBuilder,
    tenant::TenantStatus,
};
use multitenancy_testkit::ProbedStore;
use serde_json::{Value, json};

use super::{Call, PASSWORD};

pub const SECRET: &str = "kX2v9QeT7mZr4LbN8wYc1HsJ5dFg3PaU";

/// The machine's clock, and how far it was turned.
#[derive(Default)]
struct TurnedClock(AtomicI64);

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + std::time::Duration::from_secs(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

/// An application under test.
pub struct Api {
    pub router: Router,
    pub tenancy: Tenancy,
    /// The store as it is, for tests to change.
    pub store: Arc<dyn Store>,
    clock: Arc<TurnedClock>,
}

/// The document of an application with the defaults.
pub fn document() -> Value {
    serde_json::to_value(openapi(&Api::new().tenancy, "/api/v1")).unwrap()
}

/// Somebody who has signed in.
#[derive(Clone)]
pub struct Signed {
    pub access: String,
    pub refresh: String,
    pub user: Value,
}

impl Api {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(configure: impl FnOnce(TenancyBuilder) -> TenancyBuilder) -> Self {
        Self::over(|environment| Arc::new(MemoryStore::new(environment)), configure)
    }

    pub fn over(
        store: impl FnOnce(Environment) -> Arc<dyn Store>,
        configure: impl FnOnce(TenancyBuilder) -> TenancyBuilder,
    ) -> Self {
        let clock = Arc::new(TurnedClock::default());
        let store = store(Environment::new(clock.clone(), Arc::new(SystemRandom)));
        // A use case that changes a noun without an audit record fails its test.
        let audited = ProbedStore::new(store.clone(), async |_| Ok(())).requiring_audit();
        let keys = KeyRing::new(SigningKey::hs256(&SECRET.into()).unwrap());
        let builder = Tenancy::builder(audited).keys(keys).without_background_work();
        let tenancy = configure(builder).build().unwrap();
        Self { router: app(&tenancy), tenancy, store, clock }
    }

    pub fn turn_clock(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn call(&self, method: Method, path: impl Into<String>) -> Call {
        Call::new(self.router.clone(), method, path)
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, format!("/api/v1{path}"))
    }

    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, format!("/api/v1{path}"))
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, format!("/api/v1{path}"))
    }

    /// Registers somebody, on the platform or in a tenant, and signs them in.
    pub async fn join(&self, tenant: Option<&str>, email: &str) -> Signed {
        let named = |call: Call| match tenant {
            Some(key) => call.tenant(key),
            None => call,
        };
        let person = json!({ "email": email, "password": PASSWORD });
        named(self.post("/auth/register")).json(person.clone()).answered(201).await;
        Signed::from(named(self.post("/auth/login")).json(person).answered(200).await)
    }

    pub async fn organization(&self, owner: &Signed, name: &str) -> Value {
        self.post("/organizations").token(&owner.access).json(json!({ "name": name })).answered(201).await
    }

    pub async fn switch(&self, user: &Signed, tenant: &str) -> Signed {
        let call = self.post("/auth/switch").token(&user.access).json(json!({ "tenant": tenant }));
        Signed::from(call.answered(200).await)
    }

    pub async fn system(&self, tenant: &str) -> TenantContext {
        let tenant = self.tenancy.access().find_tenant(&tenant.parse().unwrap()).await.unwrap().unwrap();
        TenantContext::system(tenant, "test")
    }

    /// Moves a tenant from one status to another.
    pub async fn set_status(&self, tenant: &str, from: TenantStatus, to: TenantStatus) {
        let id: TenantId = self.system(tenant).await.tenant_id();
        multitenancy_testkit::fixtures::set_status(&*self.store, id, from, to).await.unwrap();
    }

    /// Makes a user of the platform an administrator of it. No route does.
    pub async fn make_administrator(&self, user: &Signed) {
        let mut unit = self.store.control(&ControlContext::system("test")).await.unwrap();
        let mut row = unit.users().find(user.id()).await.unwrap().unwrap();
        row.roles = vec![Role::SUPER_ADMIN];
        assert!(unit.users().update(&row).await.unwrap());
        unit.commit().await.unwrap();
        self.turn_clock(2);
    }

    /// Changes what a user may do, or whether they may sign in.
    pub async fn set_user(&self, tenant: &str, user: &Signed, roles: &[Role], is_active: bool) {
        let mut unit = self.store.begin(&self.system(tenant).await).await.unwrap();
        let mut row = unit.users().find(user.id()).await.unwrap().unwrap();
        row.roles = roles.to_vec();
        row.is_active = is_active;
        assert!(unit.users().update(&row).await.unwrap());
        unit.commit().await.unwrap();
        // What a session may do is remembered for a second.
        self.turn_clock(2);
    }
}

impl Signed {
    pub fn id(&self) -> UserId {
        self.user["id"].as_str().unwrap().parse().unwrap()
    }
}

impl From<Value> for Signed {
    fn from(tokens: Value) -> Self {
        let text = |field: &str| tokens[field].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), user: tokens["user"].clone() }
    }
}

/// Two organizations, each with its owner; and a member of the first.
pub struct World {
    pub api: Api,
    /// Owns `acme`, on the platform.
    pub ada: Signed,
    /// Owns `globex`, on the platform.
    pub bob: Signed,
    /// Ada in `acme`.
    pub ada_in_acme: Signed,
    /// Registered in `acme`.
    pub carol_in_acme: Signed,
    pub acme: Value,
    pub globex: Value,
}

impl World {
    pub async fn new() -> Self {
        Self::of(Api::new()).await
    }

    pub async fn of(api: Api) -> Self {
        let ada = api.join(None, "ada@example.com").await;
        let bob = api.join(None, "bob@example.com").await;
        let acme = api.organization(&ada, "Acme").await;
        let globex = api.organization(&bob, "Globex").await;
        let ada_in_acme = api.switch(&ada, "acme").await;
        let carol_in_acme = api.join(Some("acme"), "carol@example.com").await;
        Self { api, ada, bob, ada_in_acme, carol_in_acme, acme, globex }
    }

    pub fn acme_id(&self) -> &str {
        self.acme["id"].as_str().unwrap()
    }

    pub fn globex_id(&self) -> &str {
        self.globex["id"].as_str().unwrap()
    }
}
