use std::sync::Arc;

use multitenancy_core::{Context, Error, Isolation, Store, Tenant, UnitOfWorkExt, tenant::TenantStatus};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;

use crate::{
    ContextExt, TestEvent, failure,
    fixtures::{self, context, user},
    rounds, within_limit,
};

/// The store answers, and has a way of keeping tenants apart.
pub async fn ping_succeeds(store: Arc<dyn Store>) {
    store.ping().await.unwrap();
    assert!(!store.isolations().is_empty());
}

/// `migrate` 1: doing it again changes nothing, with and without tenants.
pub async fn migrate_1_again_changes_nothing(store: Arc<dyn Store>) {
    store.migrate().await.unwrap();
    let (tenant, plane, ada) = inhabited(&store, "acme").await;
    for _ in 0..2 {
        store.migrate().await.unwrap();
        assert_lives(&store, &plane, &ada).await;
    }
    store.provision(&tenant).await.unwrap();
    assert_lives(&store, &plane, &ada).await;
}

/// `provision` 1: doing it again changes nothing that is there.
pub async fn provision_1_again_changes_nothing(store: Arc<dyn Store>) {
    let (tenant, plane, ada) = inhabited(&store, "acme").await;
    let (_, other, bob) = inhabited(&store, "globex").await;
    for _ in 0..3 {
        store.provision(&tenant).await.unwrap();
        assert_lives(&store, &plane, &ada).await;
        assert_lives(&store, &other, &bob).await;
    }
}

/// `provision` 1: many at once make one storage, of one tenant and of many.
pub async fn provision_1_many_at_once_make_one(store: Arc<dyn Store>) {
    for round in 0..rounds(2) {
        let tenants = [format!("acme-{round}"), format!("globex-{round}"), format!("initech-{round}")];
        let tenants = tenants.map(|slug| fixtures::tenant(&*store, &slug));
        let mut tasks = JoinSet::new();
        for tenant in &tenants {
            fixtures::register(&*store, tenant).await;
            for _ in 0..4 {
                let (store, tenant) = (store.clone(), tenant.clone());
                tasks.spawn(async move { crate::retrying(|| store.provision(&tenant)).await });
            }
        }
        for outcome in within_limit("provisioning", tasks.join_all()).await {
            outcome.unwrap();
        }
        for tenant in &tenants {
            let plane = Context::Tenant(context(tenant));
            plane.add_user(&store, &user("ada@example.com")).await;
            plane.publish(&store, [TestEvent::new("a", 1)]).await;
        }
    }
}

/// `provision` 2: an isolation that the store does not have is refused, and nothing is made.
pub async fn provision_2_refuses_an_unknown_isolation(store: Arc<dyn Store>) {
    let all = [Isolation::Shared, Isolation::Schema, Isolation::Database];
    for (index, isolation) in all.into_iter().enumerate() {
        let tenant = Tenant { isolation, ..fixtures::tenant(&*store, &format!("tenant-{index}")) };
        fixtures::register(&*store, &tenant).await;
        let outcome = store.provision(&tenant).await;
        if store.isolations().contains(&isolation) {
            outcome.unwrap();
            Context::Tenant(context(&tenant)).add_user(&store, &user("ada@example.com")).await;
        } else {
            let error: Error = failure(outcome);
            assert!(!error.is_retryable(), "trying again does not help: {error:?}");
        }
    }
}

/// `deprovision` removes the storage and all that is in it, and no other tenant's.
pub async fn deprovision_removes_everything(store: Arc<dyn Store>) {
    let (tenant, plane, _) = inhabited(&store, "acme").await;
    let (_, other, bob) = inhabited(&store, "globex").await;
    store.deprovision(&tenant).await.unwrap();
    assert_lives(&store, &other, &bob).await;
    store.provision(&tenant).await.unwrap();
    let mut unit = plane.read(&store).await.unwrap();
    assert_eq!(unit.users().find_by_email(&fixtures::email("ada@example.com")).await.unwrap(), None);
    assert_eq!(unit.outbox().pending().await.unwrap(), 0);
    drop(unit);
    plane.add_user(&store, &user("ada@example.com")).await;
}

/// `deprovision` 1: removing what is not there succeeds: what was removed, and what never was.
pub async fn deprovision_1_of_nothing_succeeds(store: Arc<dyn Store>) {
    let never = fixtures::tenant(&*store, "acme");
    store.deprovision(&never).await.unwrap();
    fixtures::register(&*store, &never).await;
    store.deprovision(&never).await.unwrap();
    let (tenant, ..) = inhabited(&store, "globex").await;
    for _ in 0..3 {
        store.deprovision(&tenant).await.unwrap();
    }
}

/// A tenant's status is the business of the use cases: the store opens a unit in a tenant of any.
pub async fn a_tenant_of_any_status_opens(store: Arc<dyn Store>) {
    use TenantStatus::{Active, Canceled, Provisioning, Suspended};
    for (index, status) in [Provisioning, Active, Suspended, Canceled].into_iter().enumerate() {
        let tenant = Tenant { status, ..fixtures::tenant(&*store, &format!("tenant-{index}")) };
        fixtures::register(&*store, &tenant).await;
        store.provision(&tenant).await.unwrap();
        Context::Tenant(context(&tenant)).add_user(&store, &user("ada@example.com")).await;
    }
}

/// `local_secret` 1 and 2: none, or the same at every call, another one for every name, and long enough for a key.
pub async fn local_secret_2_is_the_same_at_every_call(store: Arc<dyn Store>) {
    let secret = |name: &str| store.local_secret(name).unwrap().map(expose);
    let first = secret("jwt");
    assert_eq!(secret("jwt"), first);
    assert_eq!(secret("other").is_some(), first.is_some(), "for all names or none");
    if let Some(first) = first {
        assert!(first.len() >= 32, "{} bytes", first.len());
        assert_ne!(secret("other"), Some(first));
    }
}

pub(crate) fn expose(secret: SecretString) -> String {
    secret.expose_secret().to_owned()
}

/// A tenant with a user and an event in it.
async fn inhabited(store: &Arc<dyn Store>, slug: &str) -> (Tenant, Context, multitenancy_core::User) {
    let context = fixtures::active_tenant(&**store, slug).await;
    let (tenant, plane) = ((**context.tenant()).clone(), Context::Tenant(context));
    let ada = user("ada@example.com");
    let mut unit = plane.begin(store).await.unwrap();
    unit.users().insert(&ada, None).await.unwrap();
    unit.publish(TestEvent::new("a", 1)).await.unwrap();
    unit.commit().await.unwrap();
    (tenant, plane, ada)
}

async fn assert_lives(store: &Arc<dyn Store>, plane: &Context, inhabitant: &multitenancy_core::User) {
    let mut unit = plane.read(store).await.unwrap();
    assert_eq!(unit.users().find(inhabitant.id).await.unwrap().as_ref(), Some(inhabitant));
    assert_eq!(unit.outbox().pending().await.unwrap(), 1);
}
