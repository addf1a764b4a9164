//! S6: a slug that is free again begins anew: nothing of the one who had it before leads to the one who has it now.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use multitenancy_core::{
    ControlContext, Error, Plane, Tenant,
    access::RequestFacts,
    auth::Client,
    bus::{Delivery, Subscription},
    tenant::TenantStatus,
};
use multitenancy_testkit::{
    ProbedStore, SeededRandom, fixtures,
    probe::{Call, Moment},
};

use crate::support::{
    ADA, App, PASSWORD, code, credentials, naming, organization, refresh_token, set_status, shown,
};

/// Takes a tenant back altogether, as the undoing of its making does, whatever it has become since.
async fn take_back(app: &App, tenant: &Tenant) {
    set_status(&app.store, tenant.id, TenantStatus::Active, TenantStatus::Provisioning).await;
    let mut unit = app.store.control(&ControlContext::system("test")).await.unwrap();
    assert!(unit.tenants().withdraw(tenant.id).await.unwrap());
    app.store.deprovision(tenant).await.unwrap();
    unit.commit().await.unwrap();
}

/// S6: every token, session, name, membership and context of the old tenant is refused once another has its slug.
#[tokio::test]
async fn s6_what_was_the_old_tenants_does_not_lead_to_the_new_one() {
    let delivered: Arc<Mutex<Vec<Arc<Delivery>>>> = Arc::default();
    let keeping = delivered.clone();
    let subscription = Subscription::new("keeping", "*", move |delivery: Arc<Delivery>| {
        keeping.lock().unwrap().push(delivery);
        async { Ok(()) }
    });
    let app = App::composed(|store| store, |builder| builder.subscribe(subscription.unwrap()));
    let (ada, old) = app.owner_of("acme").await;
    let entered = app
        .tenancy
        .accounts()
        .switch(&ada, &old.id.into(), &RequestFacts::default(), Client::default())
        .await
        .unwrap();
    let inside = app.authenticate(&entered).await.unwrap();
    let old_realm = app.tenancy.access().context(&naming(&["acme"])).await.unwrap();
    let member = app.caller(&old_realm, ADA).await;
    let signed_in = app.log_in(&old_realm, ADA).await.unwrap();
    app.tenancy.relay().drain(Plane::Tenant(old.id)).await.unwrap();
    let contexts: Vec<_> =
        delivered.lock().unwrap().iter().filter_map(|event| event.context().as_tenant().cloned()).collect();
    assert!(!contexts.is_empty(), "events of the old tenant were delivered");

    take_back(&app, &old).await;
    let (bob, new) = app.owner_of_slug("acme", "bob@example.com").await;
    assert_ne!(new.id, old.id);
    assert_eq!(
        app.tenancy.access().context(&naming(&["acme"])).await.unwrap().plane(),
        Plane::Tenant(new.id)
    );

    let old_id = old.id.to_string();
    for facts in [RequestFacts::default(), naming(&["acme"]), naming(&[&new.id.to_string()])] {
        for signed_in in [&entered, &signed_in] {
            let token = secrecy::ExposeSecret::expose_secret(&signed_in.access_token);
            assert_eq!(code(app.tenancy.access().authenticate(token, &facts).await), "tenant_not_found");
            assert_eq!(code(app.tenancy.accounts().log_out_token(token, &facts).await), "tenant_not_found");
            let refreshed = app.tenancy.accounts().refresh(&refresh_token(signed_in), &facts).await;
            assert_eq!(code(refreshed), "invalid_refresh_token");
        }
    }
    assert_eq!(code(app.tenancy.access().context(&naming(&[&old_id])).await), "tenant_not_found");
    assert_eq!(code(app.tenancy.access().context(&naming(&["acme", &old_id])).await), "tenant_mismatch");
    assert_eq!(
        code(
            app.tenancy
                .accounts()
                .switch(&ada, &"acme".parse().unwrap(), &RequestFacts::default(), Client::default())
                .await
        ),
        "tenant_not_found"
    );
    assert_eq!(code(app.tenancy.organizations().read(&ada, new.id).await), "tenant_not_found");
    assert_eq!(app.tenancy.organizations().list_own(&ada).await.unwrap(), []);

    // What was resolved or delivered before: evidence of a tenant that is gone opens nothing.
    for caller in [&inside, &member] {
        assert_eq!(code(app.tenancy.accounts().profile(caller).await), "tenant_storage_missing");
        assert_eq!(code(app.tenancy.accounts().log_out(caller).await), "tenant_storage_missing");
    }
    let refused =
        app.tenancy.accounts().log_in(&old_realm, credentials(ADA, PASSWORD), Client::default()).await;
    assert_eq!(code(refused), "tenant_storage_missing");
    for context in contexts {
        assert_eq!(code(app.store.begin(&context).await.map(drop)), "tenant_storage_missing");
    }

    // The new tenant holds its owner and nobody else.
    let realm = app.tenancy.access().context(&naming(&["acme"])).await.unwrap();
    assert_eq!(shown(app.log_in(&realm, ADA).await).1, "invalid_credentials");
    let mut unit = app.store.read(&fixtures::context(&new)).await.unwrap();
    assert_eq!(unit.outbox().pending().await.unwrap(), 1, "the owner's user.created");
    assert!(unit.users().find_by_platform_user(bob.user_id()).await.unwrap().is_some());
    for gone in [inside.user_id(), member.user_id()] {
        assert_eq!(unit.users().find(gone).await.unwrap(), None);
    }
    for gone in [inside.session_id(), member.session_id()] {
        assert_eq!(unit.sessions().find(gone).await.unwrap(), None);
    }
}

/// S6: however many try for one slug and fail, each had an id of its own, and none of them is left or leads anywhere.
#[tokio::test]
async fn s6_an_id_is_never_given_twice() {
    const TRIES: usize = 200;
    let random = Arc::new(SeededRandom::from_env());
    let (asked, ids) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(BTreeSet::new())));
    let failing = Arc::new(AtomicBool::new(true));
    let (counting, collecting, fails) = (asked.clone(), ids.clone(), failing.clone());
    let probe = move |call: Call| {
        let fail = match (call.name, call.moment, call.plane) {
            ("provision", Moment::Before, Some(Plane::Tenant(id))) => {
                counting.fetch_add(1, Ordering::Relaxed);
                collecting.lock().unwrap().insert(id);
                random.once_in(3)
            }
            // The last step but one.
            ("tenants.set_status", Moment::Before, _) => true,
            _ => false,
        };
        let fail = fail && fails.load(Ordering::Relaxed);
        async move { if fail { Err(Error::internal("the disk is full")) } else { Ok(()) } }
    };
    let app = App::composed(|store| Arc::new(ProbedStore::new(store, probe)), |builder| builder);
    let ada = app.caller(&app.platform().await, ADA).await;
    for _ in 0..TRIES {
        assert_eq!(
            code(app.tenancy.organizations().create(&ada, organization("acme")).await),
            "internal_error"
        );
    }
    failing.store(false, Ordering::Relaxed);
    let acme = app.tenancy.organizations().create(&ada, organization("acme")).await.unwrap();
    let ids = ids.lock().unwrap().clone();
    assert_eq!((asked.load(Ordering::Relaxed), ids.len()), (TRIES + 1, TRIES + 1));
    for id in ids.into_iter().filter(|id| *id != acme.id) {
        assert_eq!(app.tenancy.access().find_tenant(&id.into()).await.unwrap(), None);
        let gone = fixtures::context(&Tenant { id, ..acme.clone() });
        assert_eq!(code(app.store.begin(&gone).await.map(drop)), "tenant_storage_missing");
    }
}
