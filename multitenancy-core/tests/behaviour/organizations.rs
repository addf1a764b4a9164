//! S80, S115: organizations are made completely or not at all, whoever else wants the same.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use multitenancy_core::{
    ControlContext, Error, ErrorKind, Isolation, Plane, Store, Tenant, TenantId,
    access::RequestFacts,
    auth::Client,
    page::PageRequest,
    tenant::{TenantKey, TenantStatus},
};
use multitenancy_testkit::{
    ProbedStore,
    cancellation::{CancelAfter, Cut},
    fixtures,
    probe::{Call, Moment},
    rounds,
};
use tokio::task::JoinSet;

use crate::support::{ADA, App, code, organization, shown};

/// Every tenant whose storage was ever asked for.
pub type Provisioned = Arc<Mutex<BTreeSet<TenantId>>>;

/// A store that remembers whose storage was ever asked for.
pub fn remembering(store: Arc<dyn Store>, provisioned: &Provisioned) -> Arc<dyn Store> {
    let provisioned = provisioned.clone();
    Arc::new(ProbedStore::new(store, move |call: Call| {
        if let ("provision", Some(Plane::Tenant(id))) = (call.name, call.plane) {
            provisioned.lock().unwrap().insert(id);
        }
        async { Ok(()) }
    }))
}

pub async fn registered(store: &Arc<dyn Store>) -> Vec<Tenant> {
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    let found = unit.tenants().list(None, &PageRequest::first(100)).await.unwrap();
    assert_eq!(found.next, None);
    found.items
}

/// Every registered tenant is active and complete, and nothing is left of those that are not there.
pub async fn assert_nothing_orphaned(store: &Arc<dyn Store>, provisioned: &Provisioned) {
    let tenants = registered(store).await;
    for tenant in &tenants {
        assert_eq!(tenant.status, TenantStatus::Active, "{}", tenant.slug);
        let mut unit = store.read(&fixtures::context(tenant)).await.unwrap();
        let owner = unit.users().find_by_platform_user(tenant.owner_id).await.unwrap();
        assert!(owner.is_some_and(|owner| owner.is_owner), "{} has no owner", tenant.slug);
        assert_eq!(unit.outbox().pending().await.unwrap(), 1, "user.created, once");
        let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
        assert!(unit.memberships().find(tenant.id, tenant.owner_id).await.unwrap().is_some());
    }
    let provisioned = provisioned.lock().unwrap().clone();
    for id in provisioned {
        if tenants.iter().all(|tenant| tenant.id != id) {
            let gone = fixtures::context(&Tenant { id, ..fixtures::tenant(&**store, "gone") });
            assert!(store.read(&gone).await.is_err(), "storage that nobody knows of");
        }
    }
}

async fn is_free(app: &App, slug: &str) -> bool {
    app.tenancy.access().find_tenant(&slug.parse().unwrap()).await.unwrap().is_none()
}

/// An organization is there with everything: its row, its owner inside, the membership, and the event.
#[tokio::test]
async fn an_organization_is_complete() {
    let app = App::new();
    let (ada, acme) = app.owner_of("acme").await;
    assert_eq!(
        (acme.status, acme.owner_id, acme.isolation),
        (TenantStatus::Active, ada.user_id(), Isolation::Database)
    );
    assert_eq!(registered(&app.store).await.iter().collect::<Vec<_>>(), [&acme]);
    let inside = app
        .tenancy
        .accounts()
        .switch(&ada, &acme.id.into(), &RequestFacts::default(), Client::default())
        .await
        .unwrap();
    assert!(inside.user.is_owner);
    let mut unit = app.store.read(&fixtures::context(&acme)).await.unwrap();
    assert_eq!(unit.users().password_hash(inside.user.id).await.unwrap(), None, "no default password");

    let event = crate::support::published(&app.store, &fixtures::control()).await;
    let created = event.iter().find(|event| event.event_type == "tenant.created").unwrap();
    assert_eq!(created.payload["tenant_id"], acme.id.to_string());
    assert_eq!(created.payload["slug"], "acme");
}

/// The slug comes from the name, where it can; what is reserved, unsupported or no business of the caller is refused
/// before anything is made.
#[tokio::test]
async fn what_can_not_be_made_is_refused_first() {
    let app = App::new();
    let ada = app.caller(&app.platform().await, ADA).await;
    let create = async |name: &str, isolation| {
        let new = multitenancy_core::organization::NewOrganization {
            name: name.parse().unwrap(),
            slug: None,
            isolation,
        };
        app.tenancy.organizations().create(&ada, new).await
    };
    assert_eq!(create("Acme & Sons, Ltd.", None).await.unwrap().slug.as_str(), "acme-sons-ltd");
    assert_eq!(code(create("acme sons ltd", None).await), "slug_taken");
    for name in ["日本", "API", "ab"] {
        let (kind, ..) = shown(create(name, None).await);
        assert_eq!(kind, ErrorKind::Invalid, "{name}");
    }
    for isolation in [Isolation::Shared, Isolation::Schema] {
        let refused = multitenancy_testkit::failure(create("Other", Some(isolation)).await);
        assert_eq!(refused.fields()[0].code, "isolation_unsupported");
    }
    create("Other", Some(Isolation::Database)).await.unwrap();
    let (_, realm) = app.tenant("globex").await;
    let inside = app.caller(&realm, ADA).await;
    assert_eq!(
        code(app.tenancy.organizations().create(&inside, organization("initech")).await),
        "wrong_scope"
    );
    assert!(is_free(&app, "initech").await);
}

/// S115: a hundred who want one slug at once: one gets it, complete, and the others leave nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s115_concurrent_creation_gives_one_slug() {
    let provisioned = Provisioned::default();
    let app = App::composed(|store| remembering(store, &provisioned), |builder| builder);
    let ada = app.caller(&app.platform().await, ADA).await;
    for round in 0..rounds(8) {
        let mut callers = JoinSet::new();
        for _ in 0..100 {
            let (tenancy, ada, new) =
                (app.tenancy.clone(), ada.clone(), organization(&format!("wanted-{round}")));
            callers.spawn(async move { tenancy.organizations().create(&ada, new).await });
        }
        let (made, refused): (Vec<_>, Vec<_>) = callers.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        assert!(refused.into_iter().all(|outcome| code(outcome) == "slug_taken"));
        assert_nothing_orphaned(&app.store, &provisioned).await;
        assert_eq!(registered(&app.store).await.len(), round + 1);
    }
    assert_eq!(app.tenancy.organizations().list_own(&ada).await.unwrap().len(), rounds(8));
}

/// What fails in the making is taken back at once, at whichever step: the slug is free again, and the next try
/// succeeds.
#[tokio::test]
async fn a_failure_is_undone_at_once() {
    for failing in [
        "provision",
        "read_control",
        "begin",
        "users.insert",
        "outbox.append",
        "tenants.set_status",
        "commit",
    ] {
        let (armed, provisioned) = (Arc::new(AtomicBool::new(false)), Provisioned::default());
        let arming = armed.clone();
        let fail = move |call: Call| {
            // The registration itself is let through: what fails comes after it.
            let registering = call.plane == Some(Plane::Control) && failing == "commit";
            let fails = call.name == failing && call.moment == Moment::Before && !registering;
            let fails = fails && arming.swap(false, Ordering::AcqRel);
            async move { if fails { Err(Error::internal("the disk is full")) } else { Ok(()) } }
        };
        let app = App::composed(
            |store| Arc::new(ProbedStore::new(remembering(store, &provisioned), fail)),
            |builder| builder,
        );
        let ada = app.caller(&app.platform().await, ADA).await;
        armed.store(true, Ordering::Release);
        let refused = shown(app.tenancy.organizations().create(&ada, organization("acme")).await);
        assert_eq!(refused.0, ErrorKind::Internal, "{failing}");
        assert!(!armed.load(Ordering::Acquire), "{failing} was called");
        assert!(is_free(&app, "acme").await, "{failing}");
        assert_nothing_orphaned(&app.store, &provisioned).await;
        assert_eq!(app.tenancy.organizations().list_own(&ada).await.unwrap().len(), 0, "{failing}");
        app.tenancy.organizations().create(&ada, organization("acme")).await.unwrap();
        assert_nothing_orphaned(&app.store, &provisioned).await;
    }
}

/// Whoever goes away in the midst of it leaves a complete organization.
#[tokio::test]
async fn it_goes_on_when_its_caller_goes() {
    let provisioned = Provisioned::default();
    let app = App::composed(
        |store| Arc::new(ProbedStore::yielding(remembering(store, &provisioned))),
        |builder| builder,
    );
    let ada = app.caller(&app.platform().await, ADA).await;
    let creating = app.tenancy.organizations().create(&ada, organization("acme"));
    assert!(CancelAfter::new(creating, 1, Cut::AtOnce).await.is_none(), "gone");
    multitenancy_testkit::within_limit("the organization", async {
        while app.tenancy.access().context(&crate::support::naming(&["acme"])).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_nothing_orphaned(&app.store, &provisioned).await;
}

/// S80: somebody else's organization looks like none.
#[tokio::test]
async fn s80_somebody_elses_looks_like_none() {
    let app = App::new();
    let (ada, acme) = app.owner_of("acme").await;
    let (bob, globex) = app.owner_of("globex").await;
    let nowhere = fixtures::tenant(&*app.store, "nowhere").id;
    let none = shown(app.tenancy.organizations().read(&ada, nowhere).await);
    assert_eq!((none.0, none.1), (ErrorKind::NotFound, "tenant_not_found"));
    assert_eq!(shown(app.tenancy.organizations().read(&ada, globex.id).await), none);
    assert_eq!(app.tenancy.organizations().read(&ada, acme.id).await.unwrap().id, acme.id);
    let entered = app
        .tenancy
        .accounts()
        .switch(&bob, &globex.id.into(), &RequestFacts::default(), Client::default())
        .await
        .unwrap();
    let inside = app.authenticate(&entered).await.unwrap();
    assert_eq!(shown(app.tenancy.organizations().read(&inside, acme.id).await), none);
    assert_eq!(app.tenancy.organizations().read(&inside, globex.id).await.unwrap().id, globex.id);
    let own = async |caller| -> Vec<TenantId> {
        app.tenancy.organizations().list_own(caller).await.unwrap().iter().map(|tenant| tenant.id).collect()
    };
    assert_eq!(
        (own(&ada).await, own(&bob).await, own(&inside).await),
        (vec![acme.id], vec![globex.id], vec![globex.id])
    );
    assert!(app.tenancy.access().find_tenant(&TenantKey::Id(nowhere)).await.unwrap().is_none());
}
