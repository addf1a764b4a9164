//! S41: what a failed sign-in tells in words (in time: the program `timing`); and what is looked at again after the hashing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use multitenancy_core::{ControlContext, ErrorKind, Store, User, UserId, auth::Client};
use multitenancy_testkit::{
    ContextExt, ProbedStore, fixtures,
    probe::{Call, Moment},
};

use crate::support::{ADA, App, PASSWORD, code, credentials, shown};

/// Changes a user of the platform behind the application's back.
async fn change(store: &Arc<dyn Store>, id: UserId, change: impl FnOnce(&mut User)) {
    let mut unit = store.control(&ControlContext::system("test")).await.unwrap();
    let mut user = unit.users().find_for_update(id).await.unwrap().unwrap();
    change(&mut user);
    unit.users().update(&user).await.unwrap();
    unit.commit().await.unwrap();
}

/// S41: until the password is proven every account looks the same, those that are not there included; then an
/// inactive one is told apart.
#[tokio::test]
async fn s41_every_account_looks_the_same() {
    let app = App::new();
    let realm = app.platform().await;
    let without_password = fixtures::user("no-password@example.com");
    fixtures::control().add_user(&app.store, &without_password).await;
    for (address, is_active, email_verified) in [
        ("active@example.com", true, true),
        ("inactive@example.com", false, true),
        ("unverified@example.com", true, false),
    ] {
        let id = app.register(&realm, address).await.id;
        change(&app.store, id, |user| (user.is_active, user.email_verified) = (is_active, email_verified))
            .await;
    }
    let attempt = async |address: &str, password: &str| {
        app.tenancy.accounts().log_in(&realm, credentials(address, password), Client::default()).await
    };
    let unknown = shown(attempt("nobody@example.com", "wrong password here").await);
    assert_eq!((unknown.0, unknown.1), (ErrorKind::Unauthenticated, "invalid_credentials"));
    for address in [
        "active@example.com",
        "inactive@example.com",
        "unverified@example.com",
        "no-password@example.com",
        "ACTIVE@Example.com",
        "not an address",
        "",
        "a@b",
        "x@example.com, active@example.com",
        "active@example.com\r\n",
    ] {
        for password in ["wrong password here", "", " ", &"x".repeat(1024), &"x".repeat(1025), "\0"] {
            assert_eq!(
                shown(attempt(address, password).await),
                unknown,
                "{address:?}, {} bytes",
                password.len()
            );
        }
    }
    assert_eq!(shown(attempt("no-password@example.com", PASSWORD).await), unknown);
    assert!(attempt("active@example.com", PASSWORD).await.is_ok());
    assert!(attempt("unverified@example.com", PASSWORD).await.is_ok());
    let inactive = shown(attempt("inactive@example.com", PASSWORD).await);
    assert_eq!((inactive.0, inactive.1), (ErrorKind::Forbidden, "account_inactive"));
}

/// A store that lets `meddle` act once, between the hashing of a password and what follows.
fn meddling<W>(
    store: Arc<dyn Store>,
    armed: Arc<AtomicBool>,
    meddle: impl Fn(Arc<dyn Store>) -> W + Send + Sync + 'static,
) -> Arc<dyn Store>
where
    W: Future<Output = ()> + Send,
{
    let (inner, meddle) = (store.clone(), Arc::new(meddle));
    Arc::new(ProbedStore::new(store, move |call: Call| {
        let (inner, armed, meddle) = (inner.clone(), armed.clone(), meddle.clone());
        async move {
            if call.name == "control" && call.moment == Moment::Before && armed.swap(false, Ordering::AcqRel)
            {
                meddle(inner).await;
            }
            Ok(())
        }
    }))
}

/// What was true before the hashing is looked at again after it: a user who was deactivated, or whose password was
/// changed, in that time does not get in.
#[tokio::test]
async fn what_changes_during_the_hashing_counts() {
    let find = async |store: &Arc<dyn Store>| {
        let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
        unit.users().find_by_email(&fixtures::email(ADA)).await.unwrap().unwrap()
    };
    let armed = Arc::new(AtomicBool::new(false));
    let deactivate = move |store: Arc<dyn Store>| async move {
        change(&store, find(&store).await.id, |user| user.is_active = false).await;
    };
    let app = App::composed(|store| meddling(store, armed.clone(), deactivate), |builder| builder);
    let realm = app.platform().await;
    app.register(&realm, ADA).await;
    armed.store(true, Ordering::Release);
    assert_eq!(code(app.log_in(&realm, ADA).await), "account_inactive");
    assert!(!armed.load(Ordering::Acquire), "it was changed meanwhile");

    let reset = move |store: Arc<dyn Store>| async move {
        let ada = find(&store).await;
        let mut unit = store.control(&ControlContext::system("test")).await.unwrap();
        unit.users().set_password_hash(ada.id, &fixtures::password_hash('b')).await.unwrap();
        unit.commit().await.unwrap();
    };
    let app = App::composed(|store| meddling(store, armed.clone(), reset), |builder| builder);
    let realm = app.platform().await;
    app.register(&realm, ADA).await;
    armed.store(true, Ordering::Release);
    assert_eq!(code(app.log_in(&realm, ADA).await), "invalid_credentials");
    assert!(!armed.load(Ordering::Acquire), "it was changed meanwhile");
    let mut unit = app.store.read_control(&ControlContext::system("test")).await.unwrap();
    assert_eq!(unit.outbox().pending().await.unwrap(), 1, "registered, and nothing else");
}

/// An address that is taken while another registration of it hashes is refused by the store.
#[tokio::test]
async fn an_address_taken_during_the_hashing_is_refused() {
    let armed = Arc::new(AtomicBool::new(false));
    let take = |store: Arc<dyn Store>| async move {
        fixtures::control().add_user(&store, &fixtures::user("ADA@example.com")).await;
    };
    let app = App::composed(|store| meddling(store, armed.clone(), take), |builder| builder);
    let realm = app.platform().await;
    armed.store(true, Ordering::Release);
    let refused = app.tenancy.accounts().register(&realm, crate::support::registration(ADA)).await;
    assert_eq!(
        shown(refused),
        (ErrorKind::Conflict, "email_taken", "this address is already taken".to_owned())
    );
    let mut unit = app.store.read_control(&ControlContext::system("test")).await.unwrap();
    assert_eq!(unit.outbox().pending().await.unwrap(), 0);
}
