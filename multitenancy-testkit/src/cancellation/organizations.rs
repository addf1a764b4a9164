use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use multitenancy_core::{
    Caller, Context, ControlContext, Store, Tenant, Timestamp, UnitOfWork,
    access::RequestFacts,
    auth::Client,
    organization::NewOrganization,
    tenant::{Slug, TenantKey, TenantStatus},
};

use super::{accounts::Application, sweep};
use crate::{fixtures, within_limit};

/// Creating an organization: once begun it goes on without its caller, and is completely there in the end.
pub async fn creating_an_organization(store: Arc<dyn Store>) {
    let app = &Application::new(store).await;
    let ada = &owner(app).await;
    let create = |slug: Slug| async move {
        app.tenancy.organizations().create(ada, organization(&slug)).await.map(drop)
    };
    let not_begun = &AtomicUsize::new(0);
    let check = |slug, finished: bool| async move {
        let Some(tenant) = settled(app, &TenantKey::Slug(slug)).await else {
            let not_begun = not_begun.fetch_add(1, Ordering::Relaxed) + 1;
            return assert!(!finished && not_begun <= 2, "only before its first poll it has not begun");
        };
        let mut unit = app.store.read_control(&control()).await.unwrap();
        assert!(unit.memberships().find(tenant.id, ada.user_id()).await.unwrap().is_some());
        let mut unit = app.store.read(&fixtures::context(&tenant)).await.unwrap();
        let owner = unit.users().find_by_platform_user(ada.user_id()).await.unwrap();
        assert!(owner.is_some_and(|owner| owner.is_owner), "no owner");
    };
    let prepare = |attempt| async move { format!("cut-{attempt}").parse().unwrap() };
    sweep(&app.store, &fixtures::control(), prepare, create, check).await;
}

/// Entering an organization from the platform: the session, its events and the date are there, or nothing.
pub async fn switching(store: Arc<dyn Store>) {
    let app = &Application::new(store).await;
    let ada = &owner(app).await;
    let globex = organization(&"globex".parse().unwrap());
    let tenant = &app.tenancy.organizations().create(ada, globex).await.unwrap();
    let plane = &Context::Tenant(fixtures::context(tenant));
    let state = || async move {
        let mut unit: Box<dyn UnitOfWork> = plane.read(&app.store).await.unwrap();
        let user = unit.users().find_by_platform_user(ada.user_id()).await.unwrap().expect("the owner");
        (unit.outbox().pending().await.unwrap(), user.last_login_at)
    };
    let switch = |_| async move {
        app.tenancy
            .accounts()
            .switch(ada, &tenant.id.into(), &RequestFacts::default(), Client::default())
            .await
            .map(drop)
    };
    let check = |before: (u64, Option<Timestamp>), finished: bool| async move {
        let after = state().await;
        let there = after.1 != before.1;
        assert!(there || !finished, "acknowledged, and lost");
        assert_eq!(after.0 - before.0, if there { 2 } else { 0 });
    };
    sweep(&app.store, plane, |_| state(), switch, check).await;
}

/// A user of the platform who has signed in.
async fn owner(app: &Application) -> Caller {
    let platform = app.tenancy.access().context(&RequestFacts::default()).await.unwrap();
    app.register(&platform, "ada@example.com").await;
    app.authenticate(&app.log_in(&platform, "ada@example.com").await).await
}

fn organization(slug: &Slug) -> NewOrganization {
    NewOrganization { name: slug.as_str().parse().unwrap(), slug: Some(slug.clone()), isolation: None }
}

/// The tenant once it is active; `None` when there is none for a while.
async fn settled(app: &Application, key: &TenantKey) -> Option<Tenant> {
    let mut absent = 0;
    within_limit("an organization to settle", async {
        loop {
            let mut unit = app.store.read_control(&control()).await.unwrap();
            match unit.tenants().find(key).await.unwrap() {
                Some(tenant) if tenant.status == TenantStatus::Active => return Some(tenant),
                Some(_) => absent = 0,
                None => absent += 1,
            }
            drop(unit);
            if absent > 50 {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

fn control() -> ControlContext {
    ControlContext::system("test")
}
