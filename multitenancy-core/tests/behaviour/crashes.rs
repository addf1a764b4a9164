//! S116: a crash at any step of the making of an organization is finished or undone by the next start.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use multitenancy_core::{Caller, ControlContext, Error, Store, Tenancy, tenant::TenantStatus};
use multitenancy_testkit::{
    ProbedStore, fixtures,
    probe::{Call, Moment},
    within_limit,
};
use tokio::sync::Semaphore;

use crate::{
    organizations::{Provisioned, assert_nothing_orphaned, registered, remembering},
    support::{ADA, App, builder, organization, published},
};

/// How a process ends in the midst of its work.
#[derive(Debug, Clone, Copy)]
enum Crash {
    /// The task panics.
    Panic,
    /// The runtime is shut down while the work waits.
    Shutdown,
}

/// A process whose store breaks it at its `step`th call, `moment` the store has done it; `fails` makes making storage
/// fail besides, so that the steps of undoing are reached too.
#[derive(Debug, Clone, Copy)]
struct Process {
    crash: Crash,
    step: usize,
    moment: Moment,
    fails: bool,
}

impl Process {
    /// What it wants to create.
    fn slug(self) -> String {
        format!("acme-{}", self.step)
    }

    /// Creates an organization in this process; whether that came to its end before the crash.
    fn create(self, store: Arc<dyn Store>, ada: &Caller) -> bool {
        let calls = Arc::new(AtomicUsize::new(0));
        let counting = calls.clone();
        let probe = move |call: Call| {
            let counted = call.moment == self.moment;
            let breaks = counted && counting.fetch_add(1, Ordering::AcqRel) + 1 == self.step;
            async move {
                match self.crash {
                    Crash::Panic if breaks => panic!("a crash on purpose, {call:?}"),
                    Crash::Shutdown if breaks => std::future::pending().await,
                    _ if self.fails && call.name == "provision" => Err(Error::internal("the disk is full")),
                    _ => Ok(()),
                }
            }
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tenancy = builder(Arc::new(ProbedStore::new(store, probe))).build().unwrap();
        let ended = runtime.block_on(async {
            let creating = tokio::spawn({
                let (tenancy, ada) = (tenancy.clone(), ada.clone());
                async move { tenancy.organizations().create(&ada, organization(&self.slug())).await }
            });
            while !creating.is_finished() && calls.load(Ordering::Acquire) < self.step {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if matches!(self.crash, Crash::Panic) {
                let _either = creating.await;
            }
            calls.load(Ordering::Acquire) < self.step
        });
        // Drops whatever still waits, as the end of a process does.
        runtime.shutdown_timeout(Duration::from_secs(10));
        ended
    }
}

/// Breaks processes at every step in turn; after each the next start finishes or undoes what it finds.
async fn sweep(crash: Crash, moment: Moment, fails: bool) -> usize {
    let (app, provisioned) = (App::new(), Provisioned::default());
    let store = remembering(app.store.clone(), &provisioned);
    let ada = app.caller(&app.platform().await, ADA).await;
    for step in 1.. {
        app.clock.advance(Duration::from_secs(1));
        let process = Process { crash, step, moment, fails };
        let (breaking, caller) = (store.clone(), ada.clone());
        let ended = tokio::task::spawn_blocking(move || process.create(breaking, &caller)).await.unwrap();

        app.clock.advance(Duration::from_secs(1));
        let next = builder(store.clone()).build().unwrap();
        next.organizations().resume().await.unwrap();
        assert_nothing_orphaned(&app.store, &provisioned).await;
        assert_eq!(next.organizations().resume().await.unwrap(), 0, "{process:?}: nothing is left to do");

        if next.access().find_tenant(&process.slug().parse().unwrap()).await.unwrap().is_none() {
            next.organizations().create(&ada, organization(&process.slug())).await.unwrap();
            assert_nothing_orphaned(&app.store, &provisioned).await;
        }
        let events = published(&app.store, &fixtures::control()).await;
        let told = events.iter().filter(|event| event.event_type == "tenant.created").count();
        assert_eq!(told, step, "{process:?}: each organization is told once");
        if ended {
            return step - 1;
        }
    }
    unreachable!("every creation ends")
}

macro_rules! sweeps {
    ($($name:ident: $crash:ident $moment:ident $fails:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let steps = sweep(Crash::$crash, Moment::$moment, $fails).await;
            println!("S116: {steps} steps");
            assert!(steps >= 8, "{steps} steps");
        }
    )*};
}

sweeps! {
    s116_a_panic_before_any_step: Panic Before false;
    s116_a_panic_after_any_step: Panic After false;
    s116_a_shutdown_before_any_step: Shutdown Before false;
    s116_a_shutdown_after_any_step: Shutdown After false;
    s116_a_panic_before_any_step_of_undoing: Panic Before true;
    s116_a_shutdown_after_any_step_of_undoing: Shutdown After true;
}

/// What another process has just begun is left to it.
#[tokio::test]
async fn s116_what_is_still_being_made_is_left_alone() {
    let app = App::new();
    let ada = app.caller(&app.platform().await, ADA).await;
    let waiting =
        multitenancy_core::Tenant { owner_id: ada.user_id(), ..fixtures::tenant(&*app.store, "acme") };
    fixtures::register(&*app.store, &waiting).await;
    assert_eq!(
        app.tenancy.organizations().resume().await.unwrap(),
        0,
        "registered when this process was there already"
    );
    app.clock.advance(Duration::from_secs(1));
    let next = builder(app.store.clone()).build().unwrap();
    assert_eq!(next.organizations().resume().await.unwrap(), 1);
    assert_eq!(registered(&app.store).await[0].status, TenantStatus::Active);
}

/// One organization that can not be finished does not keep the next start from the others.
#[tokio::test]
async fn s116_one_that_can_not_be_finished_holds_up_no_other() {
    let app = App::new();
    let ada = app.caller(&app.platform().await, ADA).await;
    for (slug, owner_id) in
        [("aaa", fixtures::user(ADA).id), ("acme", ada.user_id()), ("zzz", fixtures::user(ADA).id)]
    {
        let waiting = multitenancy_core::Tenant { owner_id, ..fixtures::tenant(&*app.store, slug) };
        fixtures::register(&*app.store, &waiting).await;
    }
    app.clock.advance(Duration::from_secs(1));
    let next = builder(app.store.clone()).build().unwrap();
    assert_eq!(next.organizations().resume().await.unwrap(), 3);
    let left: Vec<_> = registered(&app.store)
        .await
        .into_iter()
        .map(|tenant| (tenant.slug.to_string(), tenant.status))
        .collect();
    assert_eq!(left, [("acme".to_owned(), TenantStatus::Active)], "those whose owner is gone are undone");
}

/// The background work does it by itself.
#[tokio::test]
async fn s116_a_start_finishes_by_itself() {
    let app = App::new();
    let ada = app.caller(&app.platform().await, ADA).await;
    let waiting =
        multitenancy_core::Tenant { owner_id: ada.user_id(), ..fixtures::tenant(&*app.store, "acme") };
    fixtures::register(&*app.store, &waiting).await;
    app.clock.advance(Duration::from_secs(1));
    let key = multitenancy_core::auth::SigningKey::hs256(&crate::support::SECRET.into()).unwrap();
    let next = Tenancy::builder_dyn(app.store.clone())
        .keys(multitenancy_core::auth::KeyRing::new(key))
        .build()
        .unwrap();
    within_limit("the start", async {
        while registered(&app.store).await[0].status != TenantStatus::Active {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(next);
}

/// A start that undoes what another process is still making (their clocks differ) leaves nothing of it either: that
/// process notices, and removes the storage that it has made meanwhile.
#[tokio::test]
async fn s116_who_loses_the_registration_removes_the_storage() {
    let (arrived, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (arriving, going) = (arrived.clone(), go.clone());
    let wait = move |call: Call| {
        let (arriving, going) = (arriving.clone(), going.clone());
        async move {
            if call.name == "provision" && call.moment == Moment::Before {
                arriving.add_permits(1);
                going.acquire().await.unwrap().forget();
            }
            Ok(())
        }
    };
    let provisioned = Provisioned::default();
    let app = App::composed(
        |store| Arc::new(ProbedStore::new(remembering(store, &provisioned), wait)),
        |builder| builder,
    );
    let ada = app.caller(&app.platform().await, ADA).await;
    let creating = tokio::spawn({
        let (tenancy, ada) = (app.tenancy.clone(), ada.clone());
        async move { tenancy.organizations().create(&ada, organization("acme")).await }
    });
    arrived.acquire().await.unwrap().forget();
    app.clock.advance(Duration::from_secs(1));
    let fail = |call: Call| async move {
        if call.name == "provision" { Err(Error::internal("the disk is full")) } else { Ok(()) }
    };
    let other = builder(Arc::new(ProbedStore::new(app.store.clone(), fail))).build().unwrap();
    assert_eq!(other.organizations().resume().await.unwrap(), 1);
    assert_eq!(registered(&app.store).await, []);
    go.add_permits(1);
    assert!(creating.await.unwrap().is_err());
    assert_nothing_orphaned(&app.store, &provisioned).await;
    let mut unit = app.store.read_control(&ControlContext::system("test")).await.unwrap();
    assert_eq!(unit.outbox().pending().await.unwrap(), 3, "user.created, session.created, user.logged_in");
}
