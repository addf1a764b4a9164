//! S34: a context is a value. Nothing of it hides in a task, a thread or the process.

use std::sync::Arc;

use multitenancy_core::{Store, TenantContext, UnitOfWorkExt};
use multitenancy_testkit::{
    SeededRandom, TestEvent,
    fixtures::{self, user},
    rounds,
};
use tokio::task::JoinSet;

use crate::support::{ADA, App};

/// Writes a user into the context's tenant and finds them, with a pause at every step.
async fn work(store: Arc<dyn Store>, context: TenantContext) {
    let ada = user(ADA);
    tokio::task::yield_now().await;
    let mut unit = store.begin(&context).await.unwrap();
    assert_eq!(unit.context().tenant_id(), context.tenant_id());
    tokio::task::yield_now().await;
    if unit.users().find_by_email(&ada.email).await.unwrap().is_none() {
        unit.users().insert(&ada, None).await.unwrap();
    }
    unit.publish(TestEvent::new("a", 1)).await.unwrap();
    tokio::task::yield_now().await;
    unit.commit().await.unwrap();
}

/// S34: work of two tenants that is spawned, awaited, moved between threads, nested and broken off by panics, all at
/// once, lands in the tenant of the context it was given.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s34_work_lands_where_its_context_says() {
    let app = App::new();
    let contexts = [app.tenant("acme").await.0, app.tenant("globex").await.0];
    let random = SeededRandom::from_env();
    let mut expected = [0_u64; 2];
    let mut tasks = JoinSet::new();
    for _ in 0..rounds(150) {
        let which = usize::from(random.once_in(2));
        let (store, own, other) = (app.store.clone(), contexts[which].clone(), contexts[1 - which].clone());
        let way = random.number(0..6);
        expected[which] += 1;
        if way == 3 {
            expected[1 - which] += 1;
        }
        tasks.spawn(async move {
            match way {
                0 => work(store, own).await,
                1 => tokio::spawn(work(store, own)).await.unwrap(),
                2 => {
                    // On a thread and a runtime of its own.
                    let run = move || tokio::runtime::Runtime::new().unwrap().block_on(work(store, own));
                    tokio::task::spawn_blocking(move || std::thread::spawn(run).join().unwrap())
                        .await
                        .unwrap();
                }
                3 => {
                    // Both tenants in one task, one inside the other.
                    let outer = store.begin(&own).await.unwrap();
                    drop(outer);
                    work(store.clone(), other).await;
                    work(store, own).await;
                }
                4 => {
                    // A panic in the other tenant's work before this one's, on the same task's thread.
                    let (panicking, context) = (store.clone(), other);
                    let broken = tokio::spawn(async move {
                        let mut unit = panicking.begin(&context).await.unwrap();
                        unit.publish(TestEvent::new("lost", 1)).await.unwrap();
                        panic!("on purpose");
                    });
                    assert!(broken.await.is_err());
                    work(store, own).await;
                }
                _ => {
                    // Cut off in the other tenant's work.
                    let cut = multitenancy_testkit::cancellation::CancelAfter::new(
                        work(store.clone(), other),
                        2,
                        multitenancy_testkit::cancellation::Cut::AtOnce,
                    );
                    assert!(cut.await.is_none());
                    work(store, own).await;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for (context, expected) in contexts.iter().zip(expected) {
        let mut unit = app.store.read(context).await.unwrap();
        assert_eq!(unit.outbox().pending().await.unwrap(), expected);
    }
}

/// S34, S7: there is no context to fall back on: where none is given nothing opens, also right beside work that has
/// one. What has no context at all does not compile; see `tests/ui`.
#[tokio::test]
async fn s34_a_tenant_without_storage_does_not_open() {
    let app = App::new();
    let (acme, _) = app.tenant("acme").await;
    let _held = app.store.begin(&acme).await.unwrap();
    let nobody = fixtures::context(&fixtures::tenant(&*app.store, "globex"));
    assert!(app.store.begin(&nobody).await.is_err());
    assert!(app.store.read(&nobody).await.is_err());
}
