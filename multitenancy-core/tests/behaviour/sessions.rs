//! S57, S62, S66, S67: going on, leaving, and entering an organization.

use multitenancy_core::{
    Context, ControlContext, ErrorKind, Plane, Role, UserId,
    access::RequestFacts,
    auth::{Client, Scope},
    secret::{Purpose, SecretToken},
    tenant::TenantStatus,
    user::ProfileUpdate,
};
use multitenancy_testkit::{fixtures, smoke_or};
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::task::JoinSet;

use crate::support::{ADA, App, code, naming, refresh_token, set_status, shown};

async fn set_active(app: &App, plane: &Context, id: UserId, is_active: bool) {
    let mut unit = plane.begin(&app.store).await.unwrap();
    let mut user = unit.users().find_for_update(id).await.unwrap().unwrap();
    user.is_active = is_active;
    unit.users().update(&user).await.unwrap();
    unit.commit().await.unwrap();
}

/// S62: a refresh token is exchanged once, for one successor; the chain goes on; roles and scope are of now.
#[tokio::test]
async fn s62_a_refresh_token_is_exchanged_once() {
    let app = App::new();
    let (context, realm) = app.tenant("acme").await;
    app.register(&realm, ADA).await;
    let mut signed_in = app.log_in(&realm, ADA).await.unwrap();
    let session = app.authenticate(&signed_in).await.unwrap().session_id();
    for _ in 0..5 {
        app.clock.advance(Duration::from_secs(600));
        let spent = refresh_token(&signed_in);
        signed_in = app.tenancy.accounts().refresh(&spent, &RequestFacts::default()).await.unwrap();
        assert_eq!((signed_in.scope, signed_in.tenant_id), (Scope::Tenant, Some(context.tenant_id())));
        assert_eq!(app.authenticate(&signed_in).await.unwrap().session_id(), session);
        assert_eq!(
            code(app.tenancy.accounts().refresh(&spent, &RequestFacts::default()).await),
            "invalid_refresh_token"
        );
    }
}

/// S62: of many who present one refresh token at once, one gets a successor.
#[tokio::test(flavor = "multi_thread")]
async fn s62_of_many_at_once_one_is_answered() {
    let app = App::new();
    let realm = app.platform().await;
    app.register(&realm, ADA).await;
    let mut signed_in = app.log_in(&realm, ADA).await.unwrap();
    for _ in 0..smoke_or(50, 500) {
        let mut callers = JoinSet::new();
        for _ in 0..64 {
            let (tenancy, token) = (app.tenancy.clone(), refresh_token(&signed_in));
            callers.spawn(async move { tenancy.accounts().refresh(&token, &RequestFacts::default()).await });
        }
        let (mut answered, refused): (Vec<_>, Vec<_>) =
            callers.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!(answered.len(), 1);
        assert!(refused.into_iter().all(|outcome| code(outcome) == "invalid_refresh_token"));
        signed_in = answered.pop().unwrap().unwrap();
    }
}

/// A session ends at its time, however often it was used, and no token outlives it by more than its own life.
#[tokio::test]
async fn a_session_ends_at_its_time() {
    let app = App::composed(|store| store, |builder| builder.session_lifetime(Duration::from_secs(3600)));
    let realm = app.platform().await;
    app.register(&realm, ADA).await;
    let mut signed_in = app.log_in(&realm, ADA).await.unwrap();
    for _ in 0..5 {
        app.clock.advance(Duration::from_secs(600));
        signed_in = app
            .tenancy
            .accounts()
            .refresh(&refresh_token(&signed_in), &RequestFacts::default())
            .await
            .unwrap();
    }
    app.clock.advance(Duration::from_micros(599_999_999));
    assert!(app.authenticate(&signed_in).await.is_ok());
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(code(app.authenticate(&signed_in).await), "invalid_token");
    let late = app.tenancy.accounts().refresh(&refresh_token(&signed_in), &RequestFacts::default()).await;
    assert_eq!(code(late), "invalid_refresh_token");
}

/// S66: what is no refresh token of ours, and one whose user or tenant is not active, are refused alike.
#[tokio::test]
async fn s66_a_refresh_needs_an_active_user_and_tenant() {
    let app = App::new();
    let (context, realm) = app.tenant("acme").await;
    let plane = Context::Tenant(context.clone());
    let ada = app.register(&realm, ADA).await.id;
    let signed_in = app.log_in(&realm, ADA).await.unwrap();
    let refresh =
        async || app.tenancy.accounts().refresh(&refresh_token(&signed_in), &RequestFacts::default()).await;

    let environment = app.tenancy.environment();
    let of_nowhere = Plane::Tenant(fixtures::tenant(&*app.store, "globex").id);
    let forged = [Plane::Control, plane.plane(), of_nowhere]
        .map(|plane| SecretToken::generate(Purpose::Refresh, plane, environment).expose().to_owned());
    let elsewhere = refresh_token(&signed_in).expose_secret().replace(&plane.plane().to_string(), "control");
    let expected = shown(app.tenancy.accounts().refresh(&"".into(), &RequestFacts::default()).await);
    assert_eq!((expected.0, expected.1), (ErrorKind::Unauthenticated, "invalid_refresh_token"));
    for token in forged.into_iter().chain([elsewhere]) {
        assert_eq!(
            shown(app.tenancy.accounts().refresh(&token.as_str().into(), &RequestFacts::default()).await),
            expected,
            "{token}"
        );
    }

    set_active(&app, &plane, ada, false).await;
    assert_eq!(shown(refresh().await), expected, "an inactive user");
    set_active(&app, &plane, ada, true).await;
    set_status(&app.store, context.tenant_id(), TenantStatus::Active, TenantStatus::Suspended).await;
    assert_eq!(shown(refresh().await), expected, "a suspended tenant");
    set_status(&app.store, context.tenant_id(), TenantStatus::Suspended, TenantStatus::Active).await;
    assert!(refresh().await.is_ok(), "nothing was spent by being refused");
}

/// S67: a request that names another tenant than the refresh token is refused, and the token is not spent by it.
#[tokio::test]
async fn s67_a_refresh_token_is_of_its_tenant() {
    let app = App::new();
    let (acme, realm) = app.tenant("acme").await;
    let (globex, _) = app.tenant("globex").await;
    app.register(&realm, ADA).await;
    let signed_in = app.log_in(&realm, ADA).await.unwrap();
    let (acme, globex) = (acme.tenant_id().to_string(), globex.tenant_id().to_string());
    for keys in [&["globex"][..], &[&globex], &["acme", "globex"], &["globex", "acme"], &["nowhere"]] {
        let refused = app.tenancy.accounts().refresh(&refresh_token(&signed_in), &naming(keys)).await;
        assert_eq!(shown(refused).1, "tenant_mismatch", "{keys:?}");
    }
    let signed_in =
        app.tenancy.accounts().refresh(&refresh_token(&signed_in), &naming(&["acme", &acme])).await.unwrap();
    app.tenancy.accounts().refresh(&refresh_token(&signed_in), &RequestFacts::default()).await.unwrap();

    let platform = app.platform().await;
    app.register(&platform, ADA).await;
    let signed_in = app.log_in(&platform, ADA).await.unwrap();
    let refused = app.tenancy.accounts().refresh(&refresh_token(&signed_in), &naming(&["acme"])).await;
    assert_eq!(shown(refused).1, "tenant_mismatch", "the platform's token in a tenant");
}

/// S66: signing out ends the refresh token and the access token at once, this session's alone; again it succeeds.
#[tokio::test]
async fn s66_signing_out_ends_the_session_at_once() {
    let app = App::new();
    let (_, realm) = app.tenant("acme").await;
    app.register(&realm, ADA).await;
    let (one, other) = (app.log_in(&realm, ADA).await.unwrap(), app.log_in(&realm, ADA).await.unwrap());
    let caller = app.authenticate(&one).await.unwrap();
    app.authenticate(&other).await.unwrap();
    for _ in 0..2 {
        app.tenancy.accounts().log_out(&caller).await.unwrap();
        assert_eq!(code(app.authenticate(&one).await), "invalid_token");
        let refused = app.tenancy.accounts().refresh(&refresh_token(&one), &RequestFacts::default()).await;
        assert_eq!(code(refused), "invalid_refresh_token");
    }
    app.authenticate(&other).await.unwrap();
    app.tenancy.accounts().refresh(&refresh_token(&other), &RequestFacts::default()).await.unwrap();
}

/// S66: a user who is deactivated, and a session that is ended by another process, are out within a second.
#[tokio::test]
async fn s66_others_changes_show_within_a_second() {
    let app = App::new();
    let (context, realm) = app.tenant("acme").await;
    let plane = Context::Tenant(context);
    let ada = app.register(&realm, ADA).await.id;
    let signed_in = app.log_in(&realm, ADA).await.unwrap();
    let session = app.authenticate(&signed_in).await.unwrap().session_id();
    set_active(&app, &plane, ada, false).await;
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(code(app.authenticate(&signed_in).await), "invalid_token");
    set_active(&app, &plane, ada, true).await;
    assert!(app.authenticate(&signed_in).await.is_ok(), "a refusal is not remembered");
    let mut unit = plane.begin(&app.store).await.unwrap();
    assert!(unit.sessions().revoke(session, app.tenancy.environment().now()).await.unwrap());
    unit.commit().await.unwrap();
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(code(app.authenticate(&signed_in).await), "invalid_token");
}

/// S84: a role that is taken away is gone within a second, whatever the token says.
#[tokio::test]
async fn s84_roles_are_those_of_now() {
    let app = App::new();
    let (context, realm) = app.tenant("acme").await;
    let plane = Context::Tenant(context);
    let ada = app.register(&realm, ADA).await.id;
    let signed_in = app.log_in(&realm, ADA).await.unwrap();
    assert_eq!(app.authenticate(&signed_in).await.unwrap().roles(), [Role::MEMBER]);
    let mut unit = plane.begin(&app.store).await.unwrap();
    let mut user = unit.users().find_for_update(ada).await.unwrap().unwrap();
    user.roles = vec![Role::GUEST];
    unit.users().update(&user).await.unwrap();
    unit.commit().await.unwrap();
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(app.authenticate(&signed_in).await.unwrap().roles(), [Role::GUEST]);
}

/// S57, S67: entering an organization reads the membership now: not there, removed, somebody else's and suspended.
#[tokio::test]
async fn s67_switching_checks_the_membership_now() {
    let app = App::new();
    let (ada, acme) = app.owner_of("acme").await;
    let (bob, globex) = app.owner_of("globex").await;
    let switch = async |caller, slug: &str| {
        app.tenancy
            .accounts()
            .switch(caller, &slug.parse().unwrap(), &RequestFacts::default(), Client::default())
            .await
    };

    let entered = switch(&ada, "acme").await.unwrap();
    assert_eq!((entered.scope, entered.tenant_id), (Scope::Tenant, Some(acme.id)));
    assert!(entered.user.is_owner && entered.user.roles == [Role::OWNER]);
    let inside = app.authenticate(&entered).await.unwrap();
    assert_eq!(inside.tenant_context().unwrap().tenant_id(), acme.id);
    assert_ne!(inside.user_id(), ada.user_id(), "as the user there");

    let nowhere = shown(switch(&ada, "nowhere").await);
    assert_eq!((nowhere.0, nowhere.1), (ErrorKind::NotFound, "tenant_not_found"));
    assert_eq!(shown(switch(&ada, "globex").await), nowhere, "somebody else's looks like none");
    assert_eq!(shown(switch(&inside, "acme").await).1, "wrong_scope", "only from the platform");

    let mut unit = app.store.control(&ControlContext::system("test")).await.unwrap();
    unit.memberships().remove(acme.id, ada.user_id()).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(shown(switch(&ada, "acme").await), nowhere, "removed");

    set_status(&app.store, globex.id, TenantStatus::Active, TenantStatus::Suspended).await;
    assert_eq!(shown(switch(&bob, "globex").await).1, "tenant_inactive");
    assert_eq!(shown(switch(&ada, "globex").await), nowhere, "nor is its status told to others");
    set_status(&app.store, globex.id, TenantStatus::Suspended, TenantStatus::Active).await;
    let plane = Context::Tenant(fixtures::context(&globex));
    let there = switch(&bob, "globex").await.unwrap().user.id;
    set_active(&app, &plane, there, false).await;
    assert_eq!(shown(switch(&bob, "globex").await).1, "account_inactive");
}

/// S66, S67: whoever has entered an organization from the platform is out of it within a second of losing the
/// membership, or of not being active on the platform any more: no request, and no refresh.
#[tokio::test]
async fn s67_losing_the_membership_ends_what_was_entered() {
    for loses_membership in [true, false] {
        let app = App::new();
        let (ada, acme) = app.owner_of("acme").await;
        let entered = app
            .tenancy
            .accounts()
            .switch(&ada, &acme.id.into(), &RequestFacts::default(), Client::default())
            .await
            .unwrap();
        app.authenticate(&entered).await.unwrap();
        if loses_membership {
            let mut unit = app.store.control(&ControlContext::system("test")).await.unwrap();
            unit.memberships().remove(acme.id, ada.user_id()).await.unwrap();
            unit.commit().await.unwrap();
        } else {
            set_active(&app, &fixtures::control(), ada.user_id(), false).await;
        }
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(code(app.authenticate(&entered).await), "invalid_token");
        let refused =
            app.tenancy.accounts().refresh(&refresh_token(&entered), &RequestFacts::default()).await;
        assert_eq!(code(refused), "invalid_refresh_token");
    }
}

/// S31, S66: a caller who was let in, and whose session ends before the request comes to its point, changes nothing.
#[tokio::test]
async fn s66_a_session_that_ends_meanwhile_changes_nothing() {
    let app = App::new();
    let (ada, acme) = app.owner_of("acme").await;
    app.tenancy.accounts().log_out(&ada).await.unwrap();
    let named = ProfileUpdate { full_name: Some("Ada".into()), ..ProfileUpdate::default() };
    assert_eq!(code(app.tenancy.accounts().update_profile(&ada, named).await), "invalid_token");
    assert_eq!(
        code(
            app.tenancy
                .accounts()
                .switch(&ada, &acme.id.into(), &RequestFacts::default(), Client::default())
                .await
        ),
        "invalid_token"
    );
    let created = app.tenancy.organizations().create(&ada, crate::support::organization("globex")).await;
    assert_eq!(code(created), "invalid_token");
    assert!(app.tenancy.access().find_tenant(&"globex".parse().unwrap()).await.unwrap().is_none());
    app.tenancy.accounts().log_out(&ada).await.unwrap();
}

/// A deployment whose tenants take in nobody who registers by themselves: the platform still does.
#[tokio::test]
async fn a_closed_tenant_takes_in_nobody() {
    let app = App::composed(|store| store, |builder| builder.tenant_registration(false));
    let (context, realm) = app.tenant("acme").await;
    let refused = shown(app.tenancy.accounts().register(&realm, crate::support::registration(ADA)).await);
    assert_eq!((refused.0, refused.1), (ErrorKind::Forbidden, "registration_closed"));
    let mut unit = app.store.read(&context).await.unwrap();
    assert_eq!(unit.users().find_by_email(&fixtures::email(ADA)).await.unwrap(), None);
    app.register(&app.platform().await, ADA).await;
}

/// S78: a profile is all that a user changes of themselves; what is refused changes nothing and tells nothing.
#[tokio::test]
async fn s78_a_profile_update_changes_the_profile_alone() {
    let app = App::new();
    let (context, realm) = app.tenant("acme").await;
    let plane = Context::Tenant(context);
    let caller = app.caller(&realm, ADA).await;
    let pending = async || plane.read(&app.store).await.unwrap().outbox().pending().await.unwrap();
    let (before, told) = (app.tenancy.accounts().profile(&caller).await.unwrap(), pending().await);

    app.clock.advance(Duration::from_secs(60));
    let named = ProfileUpdate { full_name: Some("Ada Lovelace".into()), ..ProfileUpdate::default() };
    let after = app.tenancy.accounts().update_profile(&caller, named.clone()).await.unwrap();
    assert_eq!(after.profile.full_name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(
        after,
        multitenancy_core::User { profile: after.profile.clone(), updated_at: after.updated_at, ..before }
    );
    assert_eq!(app.tenancy.accounts().profile(&caller).await.unwrap(), after);
    assert_eq!(pending().await, told + 1);

    assert_eq!(
        app.tenancy.accounts().update_profile(&caller, named).await.unwrap(),
        after,
        "the same again is no change"
    );
    let wrong = ProfileUpdate { avatar_url: Some("javascript:alert(1)".into()), ..ProfileUpdate::default() };
    assert_eq!(code(app.tenancy.accounts().update_profile(&caller, wrong).await), "validation_failed");
    assert_eq!((app.tenancy.accounts().profile(&caller).await.unwrap(), pending().await), (after, told + 1));
}
