//! What a store that outlives its process keeps: the cases of [`durable_suite!`](crate::durable_suite).

use std::sync::Arc;

use multitenancy_core::{
    Context, ControlContext, ErrorKind, EventId, Store, Tenant, UnitOfWorkExt,
    tenant::{Membership, TenantStatus},
};
use secrecy::ExposeSecret;

use crate::{
    ContextExt, DurableHarness, TestEvent, assert_fails,
    fixtures::{
        self, after, instant, known_user, lease, moment, odd_object, password_hash, refresh_digest, session,
        user,
    },
    outbox, planes,
    tenant::{add, try_set_status},
};

/// `commit` 1: users, passwords and sessions that were committed are there after a restart, to the last field.
pub async fn users_and_sessions_last(harness: &dyn DurableHarness) {
    let store = harness.open().await;
    let planes = planes(&store).await;
    let (ada, token) = (known_user("Ada@Example.com"), refresh_digest());
    let begun = session(ada.id);
    for plane in &planes {
        let mut unit = plane.begin(&store).await.unwrap();
        unit.users().insert(&ada, Some(&password_hash('a'))).await.unwrap();
        unit.sessions().insert(&begun, &token).await.unwrap();
        unit.commit().await.unwrap();
    }
    let store = harness.reopen(store).await;
    for plane in &planes {
        let mut unit = plane.begin(&store).await.unwrap();
        assert_eq!(unit.users().find_by_email(&ada.email).await.unwrap().as_ref(), Some(&ada));
        assert_eq!(unit.users().password_hash(ada.id).await.unwrap(), Some(password_hash('a')));
        assert_eq!(unit.sessions().find(begun.id).await.unwrap().as_ref(), Some(&begun));
        assert!(unit.sessions().rotate(&token, &refresh_digest(), after(1)).await.unwrap().is_some());
    }
}

/// `commit` 1: the registry and its memberships are there after a restart.
pub async fn the_registry_lasts(harness: &dyn DurableHarness) {
    let store = harness.open().await;
    let mut stored = Vec::new();
    let mut unit = store.control(&ControlContext::system("test")).await.unwrap();
    use TenantStatus::{Active, Canceled, Provisioning, Suspended};
    for (index, status) in [Provisioning, Active, Suspended, Canceled].into_iter().enumerate() {
        let tenant = Tenant {
            status,
            domain: Some(format!("crm.acme-{index}.example").parse().expect("a domain")),
            settings: multitenancy_core::tenant::TenantSettings(odd_object()),
            ..fixtures::tenant(&*store, &format!("acme-{index}"))
        };
        let membership =
            Membership { tenant_id: tenant.id, user_id: tenant.owner_id, created_at: instant() + moment() };
        unit.tenants().insert(&tenant).await.unwrap();
        unit.memberships().insert(&membership).await.unwrap();
        stored.push((tenant, membership));
    }
    unit.commit().await.unwrap();
    let store = harness.reopen(store).await;
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    for (tenant, membership) in stored {
        let found = unit.memberships().find(tenant.id, tenant.owner_id).await.unwrap();
        assert_eq!(found, Some(membership));
        assert_eq!(unit.tenants().find(&tenant.id.into()).await.unwrap(), Some(tenant));
    }
}

/// `set_status` 3: a suspension outlasts a restart, also for a context that does (S117).
pub async fn suspensions_last(harness: &dyn DurableHarness) {
    let store = harness.open().await;
    let tenant = fixtures::active_tenant(&*store, "acme").await;
    try_set_status(&store, &tenant, TenantStatus::Active, TenantStatus::Suspended).await.unwrap();
    let store = harness.reopen(store).await;
    assert_fails(add(&store, &tenant, "ada").await, ErrorKind::Forbidden, "tenant_inactive");
    try_set_status(&store, &tenant, TenantStatus::Suspended, TenantStatus::Active).await.unwrap();
    let store = harness.reopen(store).await;
    add(&store, &tenant, "ada").await.unwrap();
}

/// S93: what was not committed is not there after a restart.
pub async fn nothing_uncommitted_lasts(harness: &dyn DurableHarness) {
    let store = harness.open().await;
    let planes = planes(&store).await;
    let ada = user("ada@example.com");
    for plane in &planes {
        let mut unit = plane.begin(&store).await.unwrap();
        unit.users().insert(&ada, None).await.unwrap();
        unit.publish(TestEvent::new("a", 1)).await.unwrap();
        drop(unit);
    }
    let store = harness.reopen(store).await;
    for plane in &planes {
        let mut unit = plane.read(&store).await.unwrap();
        assert_eq!(unit.users().find(ada.id).await.unwrap(), None);
        assert_eq!(unit.outbox().pending().await.unwrap(), 0);
        drop(unit);
        plane.add_user(&store, &ada).await;
    }
}

/// Events wait through a restart with their leases and attempts, and what was parked stays so.
pub async fn the_outbox_lasts(harness: &dyn DurableHarness) {
    let store = harness.open().await;
    let planes = planes(&store).await;
    let held = lease();
    let mut before = Vec::new();
    for plane in &planes {
        plane.publish(&store, ["a", "b", "c", "d"].map(|of| TestEvent::new(of, 1))).await;
        let claim = outbox::claim(&store, plane, held, instant(), 3).await;
        let [_, failed, parked] = outbox::ids(&claim)[..] else { panic!("three were claimed") };
        let mut unit = plane.begin(&store).await.unwrap();
        unit.outbox().retry(held, failed, after(60), "no").await.unwrap();
        unit.outbox().park(held, parked, instant(), "never").await.unwrap();
        unit.commit().await.unwrap();
        before.push(claim);
    }
    let store = harness.reopen(store).await;
    for (plane, before) in planes.iter().zip(before) {
        let now = outbox::claim(&store, plane, lease(), after(1), 10).await;
        assert_eq!(now.events.len(), 1, "a is held, b waits, c is parked, d is due");
        assert_eq!(now.events[0].envelope.aggregate.id, "d");
        let later = outbox::claim(&store, plane, lease(), after(60), 10).await;
        let found: Vec<_> = later.events.iter().map(|event| (&event.envelope, event.attempts)).collect();
        let [a, b, c] = &before.events[..] else { panic!("three were claimed") };
        assert_eq!(found, [(&a.envelope, 2), (&b.envelope, 2), (&now.events[0].envelope, 2)]);
        let mut unit = plane.begin(&store).await.unwrap();
        let parked = unit.outbox().parked(10).await.unwrap();
        assert_eq!(parked.iter().collect::<Vec<_>>(), [&c.envelope]);
        assert!(!unit.outbox().delivered(held, a.envelope.event_id).await.unwrap(), "a late worker");
    }
}

/// `append` 2: sequences go on rising through a restart, also when the outbox was empty.
pub async fn sequences_rise_through_a_restart(harness: &dyn DurableHarness) {
    let mut store = harness.open().await;
    let planes = planes(&store).await;
    let mut last = [0; 2];
    for number in 0..3 {
        for (plane, last) in planes.iter().zip(&mut last) {
            plane.publish(&store, [TestEvent::new("a", number)]).await;
            let held = lease();
            let claim = outbox::claim(&store, plane, held, instant(), 10).await;
            let [event] = &claim.events[..] else { panic!("one was published") };
            assert!(event.envelope.sequence > *last, "{} after {last}", event.envelope.sequence);
            *last = event.envelope.sequence;
            let mut unit = plane.begin(&store).await.unwrap();
            unit.outbox().delivered(held, event.envelope.event_id).await.unwrap();
            unit.commit().await.unwrap();
        }
        store = harness.reopen(store).await;
    }
}

/// S97: what a consumer has dealt with it has dealt with after a restart.
pub async fn consumed_events_last(harness: &dyn DurableHarness) {
    let store = harness.open().await;
    let planes = planes(&store).await;
    let event = EventId::generate(store.environment());
    for plane in &planes {
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.consumed().record("mail", event).await.unwrap());
        unit.commit().await.unwrap();
    }
    let store = harness.reopen(store).await;
    for plane in &planes {
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.consumed().contains("mail", event).await.unwrap());
        assert!(!unit.consumed().record("mail", event).await.unwrap());
    }
}

/// Storage that was removed stays removed, and can be made again; what was made need not be.
pub async fn provisioning_lasts(harness: &dyn DurableHarness) {
    let store = harness.open().await;
    let (kept, removed) =
        (fixtures::active_tenant(&*store, "acme").await, fixtures::active_tenant(&*store, "globex").await);
    let ada = user("ada@example.com");
    for context in [&kept, &removed] {
        Context::Tenant(context.clone()).add_user(&store, &ada).await;
    }
    store.deprovision(removed.tenant()).await.unwrap();
    let store = harness.reopen(store).await;
    store.migrate().await.unwrap();
    store.provision(kept.tenant()).await.unwrap();
    let mut unit = store.read(&kept).await.unwrap();
    assert_eq!(unit.users().find(ada.id).await.unwrap().as_ref(), Some(&ada));
    drop(unit);
    store.provision(removed.tenant()).await.unwrap();
    let mut unit = store.read(&removed).await.unwrap();
    assert_eq!(unit.users().find(ada.id).await.unwrap(), None);
}

/// `local_secret` 2: the same after a restart.
pub async fn local_secret_2_lasts(harness: &dyn DurableHarness) {
    let store = harness.open().await;
    let secret = |store: &Arc<dyn Store>| {
        store.local_secret("jwt").unwrap().map(|secret| secret.expose_secret().to_owned())
    };
    let before = secret(&store);
    let store = harness.reopen(store).await;
    assert_eq!(secret(&store), before);
}
