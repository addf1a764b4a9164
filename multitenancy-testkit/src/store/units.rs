use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use multitenancy_core::{
    Context, ControlContext, Environment, Error, ErrorKind, EventId, Plane, Result, Store, TenantContext,
    UnitOfWork, UnitOfWorkExt, actor::Actor,
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    ContextExt, TestEvent,
    fixtures::{self, refresh_digest, session, user},
    planes, retrying, rounds, within_limit,
};

/// A unit tells its plane, whose work it is, its context, and the store's time.
pub async fn a_unit_tells_where_it_is(store: Arc<dyn Store>) {
    let tenant = fixtures::active_tenant(&*store, "acme").await;
    for plane in [fixtures::control(), Context::Tenant(tenant.clone())] {
        for unit in [plane.begin(&store).await.unwrap(), plane.read(&store).await.unwrap()] {
            assert_eq!(unit.plane(), plane.plane());
            assert_eq!(unit.origin().actor, Actor::System { reason: "test".into() });
            assert_eq!(unit.origin().request_id, None);
            let apart = unit.environment().now() - store.environment().now();
            assert!(apart.num_seconds().abs() < 60, "the unit's clock is the store's");
        }
    }
    for unit in [store.begin(&tenant).await.unwrap(), store.read(&tenant).await.unwrap()] {
        assert_eq!(unit.context().tenant(), tenant.tenant());
    }
}

/// `Store` 2: dropping a unit takes back everything done in it, whatever it was (S28).
pub async fn store_2_a_dropped_unit_leaves_nothing(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let kept = user("kept@example.com");
        plane.add_user(&store, &kept).await;
        let (ada, event) = (user("ada@example.com"), EventId::generate(&Environment::system()));
        let begun = session(ada.id);
        for _ in 0..3 {
            let mut unit = plane.begin(&store).await.unwrap();
            unit.users().insert(&ada, None).await.unwrap();
            unit.users().record_login(kept.id, fixtures::after(5)).await.unwrap();
            unit.sessions().insert(&begun, &refresh_digest()).await.unwrap();
            unit.publish(TestEvent::new("a", 1)).await.unwrap();
            unit.consumed().record("mail", event).await.unwrap();
            drop(unit);
            let mut unit = plane.begin(&store).await.unwrap();
            assert_eq!(unit.users().find(ada.id).await.unwrap(), None);
            assert_eq!(unit.users().find(kept.id).await.unwrap().as_ref(), Some(&kept));
            assert_eq!(unit.sessions().find(begun.id).await.unwrap(), None);
            assert_eq!(unit.outbox().pending().await.unwrap(), 0);
            assert!(!unit.consumed().contains("mail", event).await.unwrap());
        }
    }
}

/// `Store` 3: units on one plane that write take turns or fail retryably, and all get done in the end.
pub async fn store_3_writers_take_turns(store: Arc<dyn Store>) {
    const WRITERS: usize = 16;
    for plane in planes(&store).await {
        let each = rounds(4);
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let (store, plane) = (store.clone(), plane.clone());
            tasks.spawn(async move {
                for index in 0..each {
                    let user = user(&format!("{writer}-{index}@example.com"));
                    let write = || async {
                        let mut unit = plane.begin(&store).await?;
                        unit.users().insert(&user, None).await?;
                        tokio::task::yield_now().await;
                        unit.publish(TestEvent::new("all", 0)).await?;
                        unit.commit().await
                    };
                    retrying(write).await.unwrap();
                }
            });
        }
        within_limit("writing", tasks.join_all()).await;
        let mut unit = plane.read(&store).await.unwrap();
        assert_eq!(unit.outbox().pending().await.unwrap(), (WRITERS * each) as u64);
        for writer in 0..WRITERS {
            for index in 0..each {
                let address = fixtures::email(&format!("{writer}-{index}@example.com"));
                assert!(unit.users().find_by_email(&address).await.unwrap().is_some(), "{address}");
            }
        }
    }
}

/// `Store` 3: two that hold a unit on one plane each, and want one on the other's, do not wait for good.
pub async fn store_3_crossed_units_do_not_deadlock(store: Arc<dyn Store>) {
    let [control, tenant] = planes(&store).await;
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let mut tasks = JoinSet::new();
    for (first, second) in [(control.clone(), tenant.clone()), (tenant, control)] {
        let (store, barrier) = (store.clone(), barrier.clone());
        tasks.spawn(async move {
            let held = first.begin(&store).await.unwrap();
            barrier.wait().await;
            let outcome = second.begin(&store).await.map(drop);
            drop(held);
            outcome
        });
    }
    for outcome in within_limit("two crossed units", tasks.join_all()).await {
        assert!(outcome.as_ref().err().is_none_or(Error::is_retryable), "{outcome:?}");
    }
}

/// `Store` 4: when no connection comes free in time, opening fails with `Overloaded`, and says when to try again;
/// once one is free, it opens.
pub async fn store_4_opening_fails_when_overloaded(store: Arc<dyn Store>) {
    const MANY: usize = 200;
    let plane = Context::Tenant(fixtures::active_tenant(&*store, "acme").await);
    let (holding, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..MANY {
        let (store, plane) = (store.clone(), plane.clone());
        let (holding, release) = (holding.clone(), release.clone());
        tasks.spawn(async move {
            let unit = plane.begin(&store).await?;
            holding.fetch_add(1, Ordering::Relaxed);
            let _permit = release.acquire().await;
            drop(unit);
            Ok(())
        });
    }
    let check = |outcome: Result<()>| {
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Overloaded, "{error:?}");
            assert!(error.retry_after().is_some(), "{error:?}");
        }
    };
    within_limit("refusing", async {
        while tasks.len() > holding.load(Ordering::Relaxed) {
            let next = tokio::time::timeout(Duration::from_millis(50), tasks.join_next()).await;
            next.ok().flatten().into_iter().for_each(|outcome| check(outcome.unwrap()));
        }
    })
    .await;
    release.add_permits(MANY);
    within_limit("releasing", tasks.join_all()).await.into_iter().for_each(check);

    let mut unit = within_limit("opening one", plane.begin(&store)).await.unwrap();
    unit.users().insert(&user("ada@example.com"), None).await.unwrap();
    unit.commit().await.unwrap();
}

/// A commit of an event is signalled: the plane's outbox is looked at. What is dropped signals nothing.
pub async fn commit_signals_what_it_publishes(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        while store.signals().try_next_outbox().is_some() {}
        for keep in [false, true, true] {
            let mut unit = plane.begin(&store).await.unwrap();
            unit.publish(TestEvent::new("a", 1)).await.unwrap();
            assert_eq!(store.signals().try_next_outbox(), None, "before the commit");
            if keep {
                unit.commit().await.unwrap();
                let soon = tokio::time::timeout(Duration::from_secs(5), store.signals().next_outbox());
                assert_eq!(soon.await.ok(), Some(plane.plane()));
            }
        }
        assert_eq!(store.signals().try_next_outbox(), None);
    }
}

/// `commit` 2: after an error that is a conflict or retryable it did not happen: of many who write the same, all who
/// are told so have left nothing.
pub async fn commit_2_a_refused_commit_did_not_happen(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        for round in 0..rounds(3) {
            let address = format!("wanted-{round}@example.com");
            let mut tasks = JoinSet::new();
            for _ in 0..12 {
                let (store, plane, user) = (store.clone(), plane.clone(), user(&address));
                tasks.spawn(async move {
                    let write = async {
                        let mut unit = plane.begin(&store).await?;
                        unit.publish(TestEvent::new(user.id.to_string(), 1)).await?;
                        unit.users().insert(&user, None).await?;
                        unit.commit().await
                    };
                    let outcome: Result<()> = write.await;
                    let refused = |error: &Error| error.kind() == ErrorKind::Conflict || error.is_retryable();
                    assert!(outcome.as_ref().err().is_none_or(refused), "{outcome:?}");
                    outcome.is_ok()
                });
            }
            let outcomes = within_limit("writing", tasks.join_all()).await;
            let done = outcomes.iter().filter(|done| **done).count();
            assert!(done <= 1, "{done} have one address");
            let mut unit = plane.read(&store).await.unwrap();
            let found = unit.users().find_by_email(&fixtures::email(&address)).await.unwrap();
            assert_eq!(found.is_some(), done == 1);
            drop(unit);
            let left = crate::outbox::claim(&store, &plane, fixtures::lease(), fixtures::instant(), 50).await;
            assert_eq!(left.events.len(), done, "events of those who were refused");
        }
    }
}

/// A unit is on the plane of its context, and a context is of one tenant.
pub async fn contexts_open_their_own_plane(store: Arc<dyn Store>) {
    let contexts: [TenantContext; 2] =
        [fixtures::active_tenant(&*store, "acme").await, fixtures::active_tenant(&*store, "globex").await];
    for context in contexts {
        let unit = store.begin(&context).await.unwrap();
        assert_eq!(unit.plane(), Plane::Tenant(context.tenant_id()));
        assert_eq!(unit.context().tenant_id(), context.tenant_id());
    }
    let unit: Box<dyn UnitOfWork> = store.control(&ControlContext::system("test")).await.unwrap();
    assert_eq!(unit.plane(), Plane::Control);
}
