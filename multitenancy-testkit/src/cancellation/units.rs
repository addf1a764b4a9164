use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use multitenancy_core::{
    ControlContext, ErrorKind, EventId, Store, Tenant, UnitOfWork, UnitOfWorkExt, User, UserId,
    auth::Session,
    page::PageRequest,
    secret::TokenDigest,
    store::change_status,
    tenant::{Membership, TenantStatus},
};

use super::sweep;
use crate::{
    ContextExt, ProbedStore, TestEvent, assert_fails,
    fixtures::{self, after, email, instant, lease, refresh_digest, session, user},
    outbox, planes, retrying,
    session::begin_session,
    tenant::{add, try_set_status},
};

/// Opening a unit that writes, on either plane.
pub async fn opening_to_write(store: Arc<dyn Store>) {
    for plane in &planes(&store).await {
        let probed = &yielding(&store);
        let open = |()| async move { plane.begin(probed).await.map(drop) };
        sweep(&store, plane, |_| async {}, open, |(), _| async {}).await;
    }
}

/// Opening a unit that reads, on either plane.
pub async fn opening_to_read(store: Arc<dyn Store>) {
    for plane in &planes(&store).await {
        let probed = &yielding(&store);
        let open = |()| async move { plane.read(probed).await.map(drop) };
        sweep(&store, plane, |_| async {}, open, |(), _| async {}).await;
    }
}

/// A unit that writes through every repository of its plane: all of it is there, or nothing.
pub async fn writing(store: Arc<dyn Store>) {
    let (store, written) = (&store, &AtomicU64::new(0));
    for plane in &planes(store).await {
        written.store(0, Ordering::Relaxed);
        let probed = &yielding(store);
        let prepare = |attempt| async move {
            (user(&format!("cut-{attempt}@example.com")), EventId::generate(store.environment()))
        };
        let write = |(ada, event): (User, EventId)| async move {
            let mut unit = plane.begin(probed).await?;
            unit.users().insert(&ada, None).await?;
            unit.users().find_for_update(ada.id).await?;
            unit.users().record_login(ada.id, after(1)).await?;
            unit.sessions().insert(&session(ada.id), &refresh_digest()).await?;
            unit.publish(TestEvent::new(ada.id.to_string(), 1)).await?;
            unit.consumed().record("cut", event).await?;
            unit.commit().await
        };
        let check = |(ada, event): (User, EventId), finished: bool| async move {
            let mut unit = plane.read(store).await.unwrap();
            let found = unit.users().find(ada.id).await.unwrap();
            let there = found.is_some();
            assert!(there || !finished, "acknowledged, and lost");
            assert_eq!(found.and_then(|user| user.last_login_at), there.then(|| after(1)));
            assert_eq!(unit.consumed().contains("cut", event).await.unwrap(), there);
            let written = written.fetch_add(there.into(), Ordering::Relaxed) + u64::from(there);
            assert_eq!(unit.outbox().pending().await.unwrap(), written);
        };
        sweep(store, plane, prepare, write, check).await;
    }
}

/// A unit that writes the registry: all of it is there, or nothing.
pub async fn writing_the_registry(store: Arc<dyn Store>) {
    let (store, probed, control) = (&store, &yielding(&store), &ControlContext::system("test"));
    let prepare = |attempt| async move { fixtures::tenant(&**store, &format!("cut-{attempt}")) };
    let write = |tenant: Tenant| async move {
        let mut unit = probed.control(control).await?;
        unit.tenants().insert(&tenant).await?;
        let membership = Membership { tenant_id: tenant.id, user_id: tenant.owner_id, created_at: instant() };
        unit.memberships().insert(&membership).await?;
        let changed = change_status(&**probed, &mut *unit, &tenant, TenantStatus::Active, after(1)).await?;
        changed.expect("a new tenant").commit(&**probed, unit).await.map(drop)
    };
    let check = |tenant: Tenant, finished: bool| async move {
        let mut unit = store.read_control(control).await.unwrap();
        let found = unit.tenants().find(&tenant.id.into()).await.unwrap();
        assert!(found.is_some() || !finished, "acknowledged, and lost");
        assert!(found.as_ref().is_none_or(|found| found.status == TenantStatus::Active));
        let membership = unit.memberships().find(tenant.id, tenant.owner_id).await.unwrap();
        assert_eq!(membership.is_some(), found.is_some());
    };
    sweep(store, &fixtures::control(), prepare, write, check).await;
}

/// Suspending a tenant: whatever the registry says afterwards, that is how what is written in it fares (S117).
pub async fn suspending(store: Arc<dyn Store>) {
    moving(&store, TenantStatus::Active, TenantStatus::Suspended).await;
}

/// Making a suspended tenant active again: likewise.
pub async fn activating(store: Arc<dyn Store>) {
    moving(&store, TenantStatus::Suspended, TenantStatus::Active).await;
}

async fn moving(store: &Arc<dyn Store>, from: TenantStatus, to: TenantStatus) {
    let (probed, control) = (&yielding(store), &ControlContext::system("test"));
    let tenant = &fixtures::active_tenant(&**store, "acme").await;
    let status = || async {
        let mut unit = store.read_control(control).await.unwrap();
        unit.tenants().find(&tenant.tenant_id().into()).await.unwrap().expect("registered").status
    };
    let prepare = |attempt| async move {
        if status().await != from {
            retrying(|| try_set_status(store, tenant, to, from)).await.unwrap();
        }
        attempt
    };
    let check = |attempt: usize, finished: bool| async move {
        let status = status().await;
        assert!(status == to || !finished, "acknowledged, and lost");
        let name = attempt.to_string();
        let written = retrying(|| add(store, tenant, &name)).await;
        match status {
            TenantStatus::Active => written.unwrap(),
            _ => assert_fails(written, ErrorKind::Forbidden, "tenant_inactive"),
        }
    };
    let work = |_| try_set_status(probed, tenant, from, to);
    sweep(store, &fixtures::control(), prepare, work, check).await;
}

/// The commit alone: it happens or it does not.
pub async fn committing(store: Arc<dyn Store>) {
    let store = &store;
    for plane in &planes(store).await {
        let probed = &yielding(store);
        let prepare = |attempt| async move {
            let ada = user(&format!("cut-{attempt}@example.com"));
            let mut unit = plane.begin(probed).await.unwrap();
            unit.users().insert(&ada, None).await.unwrap();
            (ada.id, Arc::new(Mutex::new(Some(unit))))
        };
        let commit = |(_, unit): (UserId, Prepared)| {
            let unit = unit.lock().unwrap().take().expect("just opened");
            async move { unit.commit().await }
        };
        let check = |(id, _): (UserId, Prepared), finished: bool| async move {
            let mut unit = plane.read(store).await.unwrap();
            let found = unit.users().find(id).await.unwrap();
            assert!(found.is_some() || !finished, "acknowledged, and lost");
        };
        sweep(store, plane, prepare, commit, check).await;
    }
}

/// A unit that reads through every repository of its plane.
pub async fn reading(store: Arc<dyn Store>) {
    for plane in &planes(&store).await {
        let (begun, _) = begin_session(&store, plane).await;
        plane.publish(&store, [TestEvent::new("a", 1)]).await;
        let (probed, begun) = (&yielding(&store), &begun);
        let read = |()| async move {
            let mut unit = plane.read(probed).await?;
            unit.users().find(begun.user_id).await?;
            unit.users().find_by_email(&email("ada@example.com")).await?;
            unit.users().find_by_platform_user(begun.user_id).await?;
            unit.users().password_hash(begun.user_id).await?;
            unit.sessions().find(begun.id).await?;
            unit.outbox().pending().await?;
            unit.outbox().parked(10).await?;
            unit.consumed().contains("cut", EventId::from_uuid(begun.id.as_uuid())).await?;
            Ok(())
        };
        sweep(&store, plane, |_| async {}, read, |(), _| async {}).await;
    }
}

/// A unit that reads the registry.
pub async fn reading_the_registry(store: Arc<dyn Store>) {
    let tenant = &fixtures::tenant(&*store, "acme");
    fixtures::register(&*store, tenant).await;
    let (probed, control) = (&yielding(&store), &ControlContext::system("test"));
    let read = |()| async move {
        let mut unit = probed.read_control(control).await?;
        unit.tenants().find(&tenant.id.into()).await?;
        unit.tenants().list(None, &PageRequest::default()).await?;
        unit.memberships().find(tenant.id, tenant.owner_id).await?;
        unit.memberships().list(tenant.owner_id, &PageRequest::default()).await?;
        Ok(())
    };
    sweep(&store, &fixtures::control(), |_| async {}, read, |(), _| async {}).await;
}

/// Claiming and settling events: an event is settled, or is there as if nobody had touched it.
pub async fn settling_events(store: Arc<dyn Store>) {
    let store = &store;
    for plane in &planes(store).await {
        let probed = &yielding(store);
        let prepare = |attempt: usize| async move {
            plane.publish(store, [TestEvent::new(format!("cut-{attempt}"), 1)]).await;
            attempt
        };
        let settle = |attempt: usize| async move {
            let mut unit = plane.begin(probed).await?;
            let lease = lease();
            let claim = unit.outbox().claim(lease, instant(), after(30), 10).await?;
            for event in outbox::ids(&claim) {
                match attempt % 2 {
                    0 => unit.outbox().delivered(lease, event).await?,
                    _ => unit.outbox().park(lease, event, instant(), "never").await?,
                };
            }
            unit.commit().await
        };
        let check = |_, finished: bool| async move {
            let held = lease();
            let left = outbox::claim(store, plane, held, instant(), 10).await;
            assert!(left.events.is_empty() || !finished, "settled, and still there");
            assert!(left.events.iter().all(|event| event.attempts == 1), "touched");
            let mut unit = plane.begin(store).await.unwrap();
            for event in outbox::ids(&left) {
                assert!(unit.outbox().delivered(held, event).await.unwrap());
            }
            assert_eq!(unit.outbox().pending().await.unwrap(), 0, "held by who has gone");
            unit.commit().await.unwrap();
        };
        sweep(store, plane, prepare, settle, check).await;
    }
}

/// Rotating a refresh token and ending a session: both done, or the token is still good.
pub async fn rotating_and_revoking(store: Arc<dyn Store>) {
    let store = &store;
    for plane in &planes(store).await {
        let probed = &yielding(store);
        let rotate = |(begun, token): (Session, TokenDigest)| async move {
            let mut unit = plane.begin(probed).await?;
            unit.sessions().rotate(&token, &refresh_digest(), after(1)).await?;
            unit.sessions().revoke(begun.id, after(2)).await?;
            unit.commit().await
        };
        let check = |(begun, token): (Session, TokenDigest), finished: bool| async move {
            let mut unit = plane.begin(store).await.unwrap();
            let found = unit.sessions().find(begun.id).await.unwrap().expect("still there");
            let done = found.revoked_at.is_some();
            assert!(done || !finished, "acknowledged, and lost");
            assert_eq!(found.last_used_at, if done { after(1) } else { instant() });
            let again = unit.sessions().rotate(&token, &refresh_digest(), after(3)).await.unwrap();
            assert_eq!(again.is_some(), !done);
        };
        sweep(store, plane, |_| begin_session(store, plane), rotate, check).await;
    }
}

type Prepared = Arc<Mutex<Option<Box<dyn UnitOfWork>>>>;

pub(super) fn yielding(store: &Arc<dyn Store>) -> Arc<dyn Store> {
    Arc::new(ProbedStore::yielding(store.clone()))
}
