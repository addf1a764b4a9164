use std::sync::Arc;

use multitenancy_core::{
    Caller, Context, ErrorKind, SessionId, Store, Tenancy, TenantContext, Timestamp, User,
    access::RequestFacts,
    account::{Credentials, Registration, SignedIn},
    auth::{Client, KeyRing, Session, SigningKey},
    user::ProfileUpdate,
};
use secrecy::{ExposeSecret, SecretString};

use super::{sweep, units::yielding};
use crate::fixtures::{self, email};

const PASSWORD: &str = "lintel-walnut-46-orbit";
const ADA: &str = "ada@example.com";

/// An application over a store that lets itself be interrupted around every call, and a tenant to work in.
pub(super) struct Application {
    pub store: Arc<dyn Store>,
    pub tenancy: Tenancy,
    pub plane: Context,
    pub realm: Context,
}

impl Application {
    pub async fn new(store: Arc<dyn Store>) -> Self {
        let tenant: TenantContext = fixtures::active_tenant(&*store, "acme").await;
        let key = SigningKey::hs256(&"kX2v9QeT7mZr4LbN8wYc1HsJ5dFg3PaU".into()).unwrap();
        let tenancy =
            Tenancy::builder_dyn(yielding(&store)).keys(KeyRing::new(key)).without_background_work();
        let tenancy = tenancy.build().unwrap();
        let facts = RequestFacts { tenant_keys: vec![tenant.tenant_id().into()], ..RequestFacts::default() };
        let realm = tenancy.access().context(&facts).await.unwrap();
        Self { store, tenancy, plane: Context::Tenant(tenant), realm }
    }

    pub async fn register(&self, realm: &Context, address: &str) -> User {
        let registration =
            Registration { email: address.into(), password: PASSWORD.into(), full_name: Some("Ada".into()) };
        self.tenancy.accounts().register(realm, registration).await.unwrap()
    }

    pub async fn log_in(&self, realm: &Context, address: &str) -> SignedIn {
        self.tenancy
            .accounts()
            .log_in(realm, credentials(address), Client::default())
            .await
            .unwrap()
            .complete()
            .unwrap()
    }

    pub async fn authenticate(&self, signed_in: &SignedIn) -> Caller {
        let token = signed_in.access_token.expose_secret();
        self.tenancy.access().authenticate(token, &RequestFacts::default()).await.unwrap()
    }

    async fn pending(&self) -> u64 {
        let mut unit = self.plane.read(&self.store).await.unwrap();
        unit.outbox().pending().await.unwrap()
    }

    async fn session(&self, id: SessionId) -> Session {
        let mut unit = self.plane.read(&self.store).await.unwrap();
        unit.sessions().find(id).await.unwrap().expect("still there")
    }

    async fn find(&self, address: &str) -> Option<User> {
        let mut unit = self.plane.read(&self.store).await.unwrap();
        unit.users().find_by_email(&email(address)).await.unwrap()
    }
}

fn credentials(address: &str) -> Credentials {
    Credentials { email: address.to_owned(), password: PASSWORD.into() }
}

/// Registering: the user and the event are there, or neither.
pub async fn registering(store: Arc<dyn Store>) {
    let app = &Application::new(store).await;
    let prepare = |attempt| async move { (format!("cut-{attempt}@example.com"), app.pending().await) };
    let register = |(address, _): (String, u64)| async move {
        let registration =
            Registration { email: address.clone(), password: PASSWORD.into(), full_name: None };
        app.tenancy.accounts().register(&app.realm, registration).await.map(drop)
    };
    let check = |(address, pending): (String, u64), finished: bool| async move {
        let there = app.find(&address).await.is_some();
        assert!(there || !finished, "acknowledged, and lost");
        assert_eq!(app.pending().await - pending, u64::from(there));
    };
    sweep(&app.store, &app.plane, prepare, register, check).await;
}

/// Signing in: the session, its events and the date are there, or nothing.
pub async fn signing_in(store: Arc<dyn Store>) {
    let app = &Application::new(store).await;
    app.register(&app.realm, ADA).await;
    let state = || async move { (app.pending().await, app.find(ADA).await.unwrap().last_login_at) };
    let log_in = |_| async move {
        app.tenancy.accounts().log_in(&app.realm, credentials(ADA), Client::default()).await.map(drop)
    };
    let check = |before: (u64, Option<Timestamp>), finished: bool| async move {
        let after = state().await;
        let there = after.1 != before.1;
        assert!(there || !finished, "acknowledged, and lost");
        assert_eq!(after.0 - before.0, if there { 2 } else { 0 });
    };
    sweep(&app.store, &app.plane, |_| state(), log_in, check).await;
}

/// Exchanging a refresh token: it is spent, or still good, and the session tells which.
pub async fn refreshing(store: Arc<dyn Store>) {
    let app = &Application::new(store).await;
    app.register(&app.realm, ADA).await;
    let prepare = |_| async move {
        let signed_in = app.log_in(&app.realm, ADA).await;
        (app.authenticate(&signed_in).await.session_id(), signed_in.refresh_token.expose().into())
    };
    let refresh = |(_, token): (SessionId, SecretString)| async move {
        app.tenancy.accounts().refresh(&token, &RequestFacts::default()).await.map(drop)
    };
    let check = |(session, token): (SessionId, SecretString), finished: bool| async move {
        let session = app.session(session).await;
        let spent = session.last_used_at > session.created_at;
        assert!(spent || !finished, "acknowledged, and lost");
        match app.tenancy.accounts().refresh(&token, &RequestFacts::default()).await {
            Ok(_) => assert!(!spent, "one token was exchanged twice"),
            Err(error) => {
                assert_eq!((error.kind(), spent), (ErrorKind::Unauthenticated, true), "{error:?}");
            }
        }
    };
    sweep(&app.store, &app.plane, prepare, refresh, check).await;
}

/// Signing out: the session has ended and that is told, or neither.
pub async fn signing_out(store: Arc<dyn Store>) {
    let app = &Application::new(store).await;
    app.register(&app.realm, ADA).await;
    let prepare = |_| async move {
        let signed_in = app.log_in(&app.realm, ADA).await;
        (app.authenticate(&signed_in).await, app.pending().await)
    };
    let log_out = |(caller, _): (Caller, u64)| async move { app.tenancy.accounts().log_out(&caller).await };
    let check = |(caller, pending): (Caller, u64), finished: bool| async move {
        let ended = app.session(caller.session_id()).await.revoked_at.is_some();
        assert!(ended || !finished, "acknowledged, and lost");
        assert_eq!(app.pending().await - pending, u64::from(ended));
    };
    sweep(&app.store, &app.plane, prepare, log_out, check).await;
}

/// Changing one's profile: it has changed and that is told, or neither.
pub async fn updating_a_profile(store: Arc<dyn Store>) {
    let app = &Application::new(store).await;
    app.register(&app.realm, ADA).await;
    let caller = &app.authenticate(&app.log_in(&app.realm, ADA).await).await;
    let prepare = |attempt| async move { (Some(format!("Ada {attempt}")), app.pending().await) };
    let update = |(full_name, _): (Option<String>, u64)| async move {
        let update = ProfileUpdate { full_name, ..ProfileUpdate::default() };
        app.tenancy.accounts().update_profile(caller, update).await.map(drop)
    };
    let check = |(full_name, pending): (Option<String>, u64), finished: bool| async move {
        let changed = app.find(ADA).await.unwrap().profile.full_name == full_name;
        assert!(changed || !finished, "acknowledged, and lost");
        assert_eq!(app.pending().await - pending, u64::from(changed));
    };
    sweep(&app.store, &app.plane, prepare, update, check).await;
}
