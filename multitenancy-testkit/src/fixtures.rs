//! Values to test with. Whatever may be odd in them is: text in three scripts, instants to the microsecond.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use multitenancy_core::{
    Context, ControlContext, Environment, Isolation, Plane, Result, SessionId, Store, Tenant, TenantContext,
    TenantId, Timestamp, User, UserId,
    auth::{Client, PasswordHash, Session},
    event::LeaseId,
    secret::{Purpose, SecretToken, TokenDigest},
    store::change_status,
    tenant::{Plan, TenantSettings, TenantStatus},
    user::{Email, Profile, Role},
};
use serde_json::{Map, Value, json};

/// The instant at which tests happen: 2026-03-04, to the microsecond.
pub fn instant() -> Timestamp {
    DateTime::from_timestamp(1_772_600_767, 89_012_000).expect("an instant")
}

/// So many seconds after [`instant`].
pub fn after(seconds: i64) -> Timestamp {
    instant() + TimeDelta::seconds(seconds)
}

/// The shortest time that a store tells apart.
pub fn moment() -> TimeDelta {
    TimeDelta::microseconds(1)
}

/// An address.
pub fn email(text: &str) -> Email {
    text.parse().expect("an address")
}

/// A member with this address who has said nothing of themselves.
pub fn user(address: &str) -> User {
    User::new(UserId::generate(&Environment::system()), email(address), vec![Role::MEMBER], instant())
}

/// A user of whom everything is known that can be.
pub fn known_user(address: &str) -> User {
    User {
        profile: Profile {
            username: Some("ada".into()),
            full_name: Some("Ada Lovelace, Αυγούστα 👩‍💻".into()),
            first_name: Some("Ada".into()),
            last_name: Some("O'Lovelace".into()),
            display_name: Some("愛達".into()),
            phone: Some("+44 (0)20 7946 0000".into()),
            avatar_url: Some("https://example.com/a?b=c&d=%20".into()),
            metadata: odd_object(),
        },
        roles: vec![Role::OWNER, "auditor_2".parse().expect("a role")],
        is_owner: true,
        is_active: false,
        email_verified: true,
        platform_user_id: Some(UserId::generate(&Environment::system())),
        last_login_at: Some(after(1)),
        updated_at: after(2) + moment(),
        ..user(address)
    }
}

/// JSON with everything that is easily lost on the way to a store and back.
pub fn odd_object() -> Map<String, Value> {
    let odd = json!({
        "": "", "quote'\"\\": "line\nbreak\ttab", "нет": ["日本", null, true, []],
        "deep": {"er": {"int": i64::MAX, "negative": -1, "float": 0.1, "big": u64::MAX}},
    });
    odd.as_object().cloned().expect("an object")
}

/// A session of `user` that goes on for an hour from [`instant`].
pub fn session(user: UserId) -> Session {
    Session {
        id: SessionId::generate(&Environment::system()),
        user_id: user,
        created_at: instant(),
        last_used_at: instant(),
        expires_at: after(3600),
        revoked_at: None,
        client: Client::default(),
    }
}

/// The digest of a new refresh token.
pub fn refresh_digest() -> TokenDigest {
    SecretToken::generate(Purpose::Refresh, Plane::Control, &Environment::system()).digest()
}

/// A stored password hash of the least parameters. Nobody knows its password.
pub fn password_hash(last: char) -> PasswordHash {
    let text = format!(
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhh{last}AA"
    );
    text.parse().expect("a password hash")
}

/// A name for a worker's hold on events.
pub fn lease() -> LeaseId {
    LeaseId::generate(&Environment::system())
}

/// A tenant that is not registered yet, of the store's default isolation.
pub fn tenant(store: &dyn Store, slug: &str) -> Tenant {
    Tenant {
        id: TenantId::generate(&Environment::system()),
        name: slug.parse().expect("a name"),
        slug: slug.parse().expect("a slug"),
        domain: None,
        plan: Plan::default(),
        status: TenantStatus::Provisioning,
        isolation: *store.isolations().first().expect("a store has an isolation"),
        owner_id: UserId::generate(&Environment::system()),
        settings: TenantSettings::default(),
        created_at: instant(),
        updated_at: instant(),
    }
}

/// Registers a tenant as it is, without storage.
pub async fn register(store: &dyn Store, tenant: &Tenant) {
    let mut unit = store.control(&ControlContext::system("test")).await.unwrap();
    unit.tenants().insert(tenant).await.unwrap();
    unit.commit().await.unwrap();
}

/// An active tenant with storage, of the store's default isolation.
pub async fn provisioned(store: &dyn Store, slug: &str) -> Tenant {
    let isolation = tenant(store, slug).isolation;
    provisioned_in(store, slug, isolation).await
}

/// An active tenant with storage of this isolation.
pub async fn provisioned_in(store: &dyn Store, slug: &str, isolation: Isolation) -> Tenant {
    let tenant = Tenant { status: TenantStatus::Active, isolation, ..tenant(store, slug) };
    register(store, &tenant).await;
    store.provision(&tenant).await.unwrap();
    tenant
}

/// Moves a registered tenant from one status to another, with its fence, and commits it.
///
/// # Panics
/// When the tenant has another status.
pub async fn set_status(store: &dyn Store, id: TenantId, from: TenantStatus, to: TenantStatus) -> Result<()> {
    let mut unit = store.control(&ControlContext::system("test")).await?;
    let tenant = unit.tenants().find(&id.into()).await?.expect("a registered tenant");
    let tenant = Tenant { status: from, ..tenant };
    let changed = change_status(store, &mut *unit, &tenant, to, after(1)).await?;
    changed.expect("a tenant of this status").commit(store, unit).await.map(drop)
}

/// The context to work in an active tenant with storage, of the store's default isolation.
pub async fn active_tenant(store: &dyn Store, slug: &str) -> TenantContext {
    context(&provisioned(store, slug).await)
}

/// The control plane, worked on by the system.
pub fn control() -> Context {
    Context::Control(ControlContext::system("test"))
}

/// The context to work in `tenant`.
pub fn context(tenant: &Tenant) -> TenantContext {
    TenantContext::system(Arc::new(tenant.clone()), "test")
}
