//! S8: what runs without a request is as confined to its tenant as a request is.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use multitenancy_core::{
    Context, Plane, Tenant,
    bus::{Delivery, Subscription},
    tenant::TenantStatus,
};
use multitenancy_testkit::{ProbedStore, fixtures, isolation::assert_apart, probe::Call};

use crate::support::{ADA, App};

type Planes = Arc<Mutex<BTreeSet<Plane>>>;

/// The planes that the store was called on since the last look.
fn touched(planes: &Planes) -> Vec<Plane> {
    std::mem::take(&mut *planes.lock().unwrap()).into_iter().collect()
}

/// S8: the relay with its handlers, the welcome among them, and the worker that finishes organizations call the store
/// on the plane at hand and on the control plane, and on no other tenant's.
#[tokio::test]
async fn s8_the_background_touches_the_tenant_at_hand_alone() {
    let planes = Planes::default();
    let noting = planes.clone();
    let app = App::composed(
        |store| {
            Arc::new(ProbedStore::new(store, move |call: Call| {
                noting.lock().unwrap().extend(call.plane);
                async { Ok(()) }
            }))
        },
        |builder| builder,
    );
    app.owner_of("acme").await;
    let (owner, _) = app.owner_of("globex").await;
    let mut tenants = Vec::new();
    for slug in ["acme", "globex"] {
        let realm = app.tenancy.access().context(&crate::support::naming(&[slug])).await.unwrap();
        app.caller(&realm, ADA).await;
        tenants.push(realm.plane());
    }
    touched(&planes);
    for tenant in &tenants {
        assert!(app.tenancy.relay().drain(*tenant).await.unwrap().delivered >= 4, "with the welcome's");
        assert_eq!(touched(&planes), [Plane::Control, *tenant]);
    }
    assert_eq!(app.mailer.sent().len(), 2);
    app.tenancy.relay().drain(Plane::Control).await.unwrap();
    assert_eq!(touched(&planes), [Plane::Control]);

    let unfinished = Tenant {
        owner_id: owner.user_id(),
        created_at: fixtures::after(-60),
        ..fixtures::tenant(&*app.store, "initech")
    };
    assert_eq!(unfinished.status, TenantStatus::Provisioning);
    fixtures::register(&*app.store, &unfinished).await;
    assert_eq!(app.tenancy.organizations().resume().await.unwrap(), 1);
    assert_eq!(touched(&planes), [Plane::Control, Plane::Tenant(unfinished.id)]);
}

/// S8: with the context of a delivered event, nothing of another plane is there, nor the other way round.
#[tokio::test]
async fn s8_a_delivered_event_has_its_tenants_context() {
    let delivered: Arc<Mutex<Vec<Arc<Delivery>>>> = Arc::default();
    let keeping = delivered.clone();
    let subscription = Subscription::new("keeping", "*", move |delivery: Arc<Delivery>| {
        keeping.lock().unwrap().push(delivery);
        async { Ok(()) }
    });
    let app = App::composed(|store| store, |builder| builder.subscribe(subscription.unwrap()));
    let globex = Context::Tenant(app.tenant("globex").await.0);
    let (acme, realm) = app.tenant("acme").await;
    app.caller(&realm, ADA).await;
    app.caller(&app.platform().await, ADA).await;
    for plane in [Plane::Control, Plane::Tenant(acme.tenant_id())] {
        app.tenancy.relay().drain(plane).await.unwrap();
    }
    let delivered = delivered.lock().unwrap().clone();
    let mut tried = BTreeSet::new();
    for context in delivered.iter().map(|delivery| delivery.context()) {
        assert_apart(&app.store, context, &globex).await;
        assert_apart(&app.store, &globex, context).await;
        tried.insert(context.plane());
    }
    assert_eq!(tried.into_iter().collect::<Vec<_>>(), [Plane::Control, Plane::Tenant(acme.tenant_id())]);
}
