use std::{sync::Arc, time::Duration};

use multitenancy_core::{
    ControlContext, ErrorKind, Result, Store, Tenant, TenantContext, Timestamp, UnitOfWorkExt, User,
    environment::monotonic,
    store::change_status,
    tenant::TenantStatus::{self, Active, Canceled, Suspended},
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    SeededRandom, TestEvent, assert_fails,
    fixtures::{self, active_tenant, after, context, user},
    retrying, smoke_or, within_limit,
};

/// `set_status` 3: what is written inside a closed tenant is not committed, whether it began before or afterwards. Other
/// tenants go on, and so does work that knows the tenant as closed (S117).
pub async fn set_status_3_lets_nothing_commit_in_a_closed_tenant(store: Arc<dyn Store>) {
    let bystander = active_tenant(&*store, "globex").await;
    for (slug, closed) in [("acme", Suspended), ("initech", Canceled)] {
        let tenant = active_tenant(&*store, slug).await;
        let mut before = store.begin(&tenant).await.unwrap();
        before.users().insert(&user("before@example.com"), None).await.unwrap();
        before.publish(TestEvent::new("a", 1)).await.unwrap();
        set_status(&store, &tenant, Active, closed).await;
        assert_fails(before.commit().await, ErrorKind::Forbidden, "tenant_inactive");
        assert_fails(add(&store, &tenant, "after").await, ErrorKind::Forbidden, "tenant_inactive");
        store.read(&tenant).await.unwrap().commit().await.expect("a unit that reads has nothing to commit");
        add(&store, &bystander, slug).await.unwrap();

        let knowing = context(&Tenant { status: closed, ..Tenant::clone(tenant.tenant()) });
        let mut unit = store.begin(&knowing).await.unwrap();
        assert_eq!(unit.outbox().pending().await.unwrap(), 0);
        for name in ["before", "after"] {
            let address = user(&format!("{name}@example.com")).email;
            assert_eq!(unit.users().find_by_email(&address).await.unwrap(), None, "{name}");
        }
        drop(unit);
        add(&store, &knowing, "knowing").await.unwrap();
    }
}

/// `set_status` 3: a change that is not committed, or taken back in the same unit, closes nothing. One that is made again
/// in the same unit does.
pub async fn set_status_3_counts_when_it_is_committed(store: Arc<dyn Store>) {
    let tenant = active_tenant(&*store, "acme").await;
    let moved = async |moves: &[TenantStatus]| {
        let mut unit = store.control(&ControlContext::system("test")).await.unwrap();
        let mut last = None;
        for pair in moves.windows(2) {
            let tenant = Tenant { status: pair[0], ..Tenant::clone(tenant.tenant()) };
            last = change_status(&*store, &mut *unit, &tenant, pair[1], after(1)).await.unwrap();
        }
        (last.expect("changed"), unit)
    };
    let commit = async |moves: &[TenantStatus]| {
        let (changed, unit) = moved(moves).await;
        changed.commit(&*store, unit).await.unwrap();
    };
    drop(moved(&[Active, Suspended]).await);
    retrying(|| add(&store, &tenant, "dropped")).await.unwrap();
    commit(&[Active, Suspended, Active]).await;
    add(&store, &tenant, "taken-back").await.unwrap();
    commit(&[Active, Suspended, Active, Suspended]).await;
    assert_fails(add(&store, &tenant, "made-again").await, ErrorKind::Forbidden, "tenant_inactive");
}

/// `set_status` 4: when the tenant is active again, what is written is committed, also in units that began before.
pub async fn set_status_4_lets_commit_again(store: Arc<dyn Store>) {
    let tenant = active_tenant(&*store, "acme").await;
    for round in 0..3 {
        set_status(&store, &tenant, Active, Suspended).await;
        let mut meanwhile = store.begin(&tenant).await.unwrap();
        let ada = user(&format!("meanwhile-{round}@example.com"));
        meanwhile.users().insert(&ada, None).await.unwrap();
        set_status(&store, &tenant, Suspended, Active).await;
        meanwhile.commit().await.unwrap();
        add(&store, &tenant, &format!("later-{round}")).await.unwrap();
    }
}

/// `set_status` 3: however a write and a suspension interleave, the tenant stays as it was when the suspension has
/// returned, and what was acknowledged is there: a hundred writes race each of 100 suspensions, by day of 20 (S117).
pub async fn set_status_3_stands_in_every_race(store: Arc<dyn Store>) {
    const WRITERS: usize = 100;
    /// So many writers of each round end before the suspension begins, and as many begin after it has returned.
    const CERTAIN: usize = 3;
    let random = Arc::new(SeededRandom::from_env());
    let tenant = active_tenant(&*store, "acme").await;
    let writers: Vec<User> = (0..WRITERS).map(|index| user(&format!("{index}@example.com"))).collect();
    let mut unit = store.begin(&tenant).await.unwrap();
    for writer in &writers {
        unit.users().insert(writer, None).await.unwrap();
    }
    unit.commit().await.unwrap();

    // Writers begin during twice the time that suspending takes here, so that some come before it and some after.
    let mut suspending = Duration::from_millis(4);
    let mut outcomes = [0, 0];
    let mut expected = last_logins(&store, &tenant, &writers).await;
    let rounds = smoke_or(20, 100);
    for round in (1..).take(rounds) {
        let (mut tasks, ended) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        let suspended = Arc::new(Semaphore::new(0));
        for (index, writer) in writers.iter().enumerate() {
            let (store, tenant, random, id) = (store.clone(), tenant.clone(), random.clone(), writer.id);
            let (ended, suspended) = (ended.clone(), suspended.clone());
            tasks.spawn(async move {
                if index < CERTAIN {
                    drop(suspended.acquire().await.unwrap());
                }
                tokio::time::sleep(suspending * 2 * random.number(0..1_000) as u32 / 1_000).await;
                let write = || async {
                    let mut unit = store.begin(&tenant).await?;
                    assert!(unit.users().record_login(id, after(round)).await?);
                    random.pause(suspending / 10).await;
                    unit.commit().await
                };
                let outcome = retrying(write).await;
                ended.add_permits(1);
                (index, outcome)
            });
        }
        let first = random.number(CERTAIN as u64..WRITERS as u64 / 2) as u32;
        drop(ended.acquire_many(first).await.unwrap());
        let begun = monotonic();
        set_status(&store, &tenant, Active, Suspended).await;
        suspending = begun.elapsed();
        let when_suspended = last_logins(&store, &tenant, &writers).await;
        suspended.add_permits(1);
        for (index, outcome) in within_limit("writing", tasks.join_all()).await {
            outcomes[usize::from(outcome.is_ok())] += 1;
            match outcome {
                Ok(()) => expected[index] = Some(after(round)),
                refused => assert_fails(refused, ErrorKind::Forbidden, "tenant_inactive"),
            }
        }
        let after_all = last_logins(&store, &tenant, &writers).await;
        assert_eq!(after_all, when_suspended, "committed after the suspension of round {round}");
        assert_eq!(after_all, expected, "acknowledged and lost, or refused and done, in round {round}");
        set_status(&store, &tenant, Suspended, Active).await;
    }
    println!("refused, committed: {outcomes:?}");
    assert!(outcomes.iter().all(|count| *count > 2 * rounds), "hardly a race: {outcomes:?}");
}

async fn set_status(store: &Arc<dyn Store>, tenant: &TenantContext, from: TenantStatus, to: TenantStatus) {
    retrying(|| try_set_status(store, tenant, from, to)).await.unwrap();
}

pub(crate) async fn try_set_status(
    store: &Arc<dyn Store>,
    tenant: &TenantContext,
    from: TenantStatus,
    to: TenantStatus,
) -> Result<()> {
    fixtures::set_status(&**store, tenant.tenant_id(), from, to).await
}

/// `close` 1: closing a tenant again succeeds, and so does closing one that has no storage. `reopen` 2: so does reopening one
/// that is not closed.
pub async fn close_1_can_be_repeated(store: Arc<dyn Store>) {
    let (tenant, bare) = (active_tenant(&*store, "acme").await, fixtures::tenant(&*store, "globex"));
    fixtures::register(&*store, &bare).await;
    store.close(&bare).await.unwrap();
    for _ in 0..2 {
        store.reopen(tenant.tenant()).await.unwrap();
    }
    add(&store, &tenant, "open").await.unwrap();
    set_status(&store, &tenant, Active, Suspended).await;
    for _ in 0..2 {
        store.close(tenant.tenant()).await.unwrap();
    }
    assert_fails(add(&store, &tenant, "closed").await, ErrorKind::Forbidden, "tenant_inactive");
}

/// `reopen` 1: a tenant that the registry calls closed stays closed.
pub async fn reopen_1_leaves_a_suspended_tenant_closed(store: Arc<dyn Store>) {
    let tenant = active_tenant(&*store, "acme").await;
    set_status(&store, &tenant, Active, Suspended).await;
    store.reopen(tenant.tenant()).await.unwrap();
    assert_fails(add(&store, &tenant, "closed").await, ErrorKind::Forbidden, "tenant_inactive");
    set_status(&store, &tenant, Suspended, Active).await;
    add(&store, &tenant, "open").await.unwrap();
}

/// Adds a user of this name.
pub(crate) async fn add(store: &Arc<dyn Store>, tenant: &TenantContext, name: &str) -> Result<()> {
    let mut unit = store.begin(tenant).await?;
    unit.users().insert(&user(&format!("{name}@example.com")), None).await?;
    unit.commit().await
}

async fn last_logins(
    store: &Arc<dyn Store>,
    tenant: &TenantContext,
    users: &[User],
) -> Vec<Option<Timestamp>> {
    let mut found = Vec::new();
    let mut unit = store.read(tenant).await.unwrap();
    for user in users {
        let user = unit.users().find(user.id).await.unwrap();
        found.push(user.unwrap().last_login_at);
    }
    found
}
