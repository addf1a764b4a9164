use std::sync::Arc;

use multitenancy_core::{Context, Store, Tenant, TenantContext, store::fleet::Tenants};

use super::{sweep, units::yielding};
use crate::{
    ContextExt, TestEvent,
    fixtures::{self, context, email, user},
};

/// Making a tenant's storage: done again, it is complete, and nobody else's is touched.
pub async fn provisioning(store: Arc<dyn Store>) {
    let (store, probed) = (&store, &yielding(&store));
    let neighbour = Context::Tenant(fixtures::active_tenant(&**store, "neighbour").await);
    let prepare = |attempt| async move {
        let tenant = fixtures::tenant(&**store, &format!("cut-{attempt}"));
        fixtures::register(&**store, &tenant).await;
        tenant
    };
    let provision = |tenant: Tenant| async move { probed.provision(&tenant).await };
    let check = |tenant: Tenant, finished: bool| async move {
        let plane = Context::Tenant(context(&tenant));
        if !finished {
            crate::retrying(|| store.provision(&tenant)).await.unwrap();
        }
        plane.add_user(store, &user("ada@example.com")).await;
        plane.publish(store, [TestEvent::new("a", 1)]).await;
        store.provision(&tenant).await.unwrap();
        let mut unit = plane.read(store).await.unwrap();
        assert!(unit.users().find_by_email(&email("ada@example.com")).await.unwrap().is_some());
        drop(unit);
        store.deprovision(&tenant).await.unwrap();
    };
    sweep(store, &neighbour, prepare, provision, check).await;
}

/// Removing a tenant's storage: done again, nothing is left, and nobody else's is touched.
pub async fn deprovisioning(store: Arc<dyn Store>) {
    let (store, probed) = (&store, &yielding(&store));
    let neighbour = Context::Tenant(fixtures::active_tenant(&**store, "neighbour").await);
    let prepare = |attempt| async move {
        let context = fixtures::active_tenant(&**store, &format!("cut-{attempt}")).await;
        Context::Tenant(context.clone()).add_user(store, &user("ada@example.com")).await;
        context
    };
    let deprovision = |context: TenantContext| async move { probed.deprovision(context.tenant()).await };
    let check = |context: TenantContext, finished: bool| async move {
        if !finished {
            crate::retrying(|| store.deprovision(context.tenant())).await.unwrap();
        }
        store.provision(context.tenant()).await.unwrap();
        let mut unit = store.read(&context).await.unwrap();
        assert!(
            unit.users().find_by_email(&email("ada@example.com")).await.unwrap().is_none(),
            "left behind"
        );
        drop(unit);
        store.deprovision(context.tenant()).await.unwrap();
    };
    sweep(store, &neighbour, prepare, deprovision, check).await;
}

/// Bringing every plane to the newest schema: done again, it is complete.
pub async fn migrating(store: Arc<dyn Store>) {
    let (store, probed) = (&store, &yielding(&store));
    let plane = &Context::Tenant(fixtures::active_tenant(&**store, "acme").await);
    let ada = &user("ada@example.com");
    plane.add_user(store, ada).await;
    let migrate = |()| async move { probed.migrate().await };
    let check = |(), finished: bool| async move {
        if !finished {
            crate::retrying(|| store.migrate()).await.unwrap();
        }
        let mut unit = plane.read(store).await.unwrap();
        assert_eq!(unit.users().find(ada.id).await.unwrap().as_ref(), Some(ada));
    };
    sweep(store, plane, |_| async {}, migrate, check).await;
}

/// Asking whether the store is there, and where each tenant is: nothing is changed, and nobody is kept waiting.
pub async fn looking_at_the_fleet(store: Arc<dyn Store>) {
    let (store, probed) = (&store, &yielding(&store));
    let neighbour = fixtures::active_tenant(&**store, "neighbour").await;
    let tenant = neighbour.tenant_id();
    let look = |()| async move {
        probed.ping().await?;
        let told = probed.fleet().status(&Tenants::All).await?;
        assert_eq!(told.len(), 1);
        assert!(told.into_iter().all(|told| told.state.is_ok_and(|state| state.current)));
        probed.fleet().history(tenant).await.map(drop)
    };
    let check = |(), _finished: bool| async {};
    sweep(store, &Context::Tenant(neighbour), |_| async {}, look, check).await;
}
