//! S8: every entry point leads to the file of one tenant.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::sync::{Arc, Mutex};

use common::open;
use multitenancy_core::{
    Caller, Context, Plane, Store, Tenancy, TenantContext,
    access::RequestFacts,
    account::{Credentials, Registration, SignedIn},
    auth::Client,
    bus::{Delivery, Subscription},
    organization::NewOrganization,
};
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::{
    fixtures::{self, context, provisioned},
    isolation::assert_apart,
};
use secrecy::ExposeSecret;

const PASSWORD: &str = "lintel-walnut-46-orbit";

struct App {
    store: SqliteStore,
    tenancy: Tenancy,
    delivered: Arc<Mutex<Vec<TenantContext>>>,
}

impl App {
    async fn in_directory(directory: &tempfile::TempDir) -> Self {
        let store = open(SqliteStore::builder(&common::url(directory))).await;
        let delivered: Arc<Mutex<Vec<TenantContext>>> = Arc::default();
        let keeping = delivered.clone();
        let subscription = Subscription::new("keeping", "*", move |delivery: Arc<Delivery>| {
            keeping.lock().unwrap().extend(delivery.context().as_tenant().cloned());
            async { Ok(()) }
        });
        let builder = Tenancy::builder(store.clone()).without_background_work();
        let tenancy = builder.subscribe(subscription.unwrap()).build().unwrap();
        Self { store, tenancy, delivered }
    }

    async fn authenticate(&self, signed_in: &SignedIn) -> Caller {
        let token = signed_in.access_token.expose_secret();
        self.tenancy.access().authenticate(token, &RequestFacts::default()).await.unwrap()
    }

    async fn caller(&self, realm: &Context, address: &str) -> Caller {
        let (email, password) = (address.to_owned(), PASSWORD.into());
        let registration = Registration { email: email.parse().unwrap(), password, full_name: None };
        self.tenancy.accounts().register(realm, registration).await.unwrap();
        let credentials = Credentials { email, password: PASSWORD.into() };
        self.authenticate(
            &self
                .tenancy
                .accounts()
                .log_in(realm, credentials, Client::default())
                .await
                .unwrap()
                .complete()
                .unwrap(),
        )
        .await
    }

    /// A new organization, and its context from every entry point.
    async fn contexts(&self, slug: &str) -> Vec<TenantContext> {
        let platform = self.tenancy.access().context(&RequestFacts::default()).await.unwrap();
        let owner = self.caller(&platform, &format!("owner-of-{slug}@example.com")).await;
        let new = NewOrganization { name: slug.parse().unwrap(), slug: slug.parse().ok(), isolation: None };
        let tenant = self.tenancy.organizations().create(&owner, new).await.unwrap();
        let naming = RequestFacts { tenant_keys: vec![slug.parse().unwrap()], ..RequestFacts::default() };
        let realm = self.tenancy.access().context(&naming).await.unwrap();
        let Context::Tenant(resolved) = &realm else { unreachable!("a tenant was named") };
        let entered = self
            .tenancy
            .accounts()
            .switch(&owner, &tenant.id.into(), &RequestFacts::default(), Client::default())
            .await
            .unwrap();
        let mut contexts = vec![
            resolved.clone(),
            self.tenancy.access().tenant_context(&naming).await.unwrap(),
            self.caller(&realm, "member@example.com").await.tenant_context().unwrap().clone(),
            self.authenticate(&entered).await.tenant_context().unwrap().clone(),
            context(&tenant),
        ];
        let drained = self.tenancy.relay().drain(Plane::Tenant(tenant.id)).await.unwrap();
        assert!(drained.delivered > 0 && drained.next_due.is_none(), "{drained:?}");
        contexts.extend(self.delivered.lock().unwrap().pop());
        assert_eq!(contexts.len(), 6);
        contexts
    }
}

/// S8: a context of one tenant reaches no row of another tenant, by any repository method of the tenant or of the
/// platform, and the application's own SQL finds only this tenant's rows.
#[tokio::test]
async fn s8_no_entry_point_reaches_another_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let app = App::in_directory(&directory).await;
    let (acme, globex) = (app.contexts("acme").await, app.contexts("globex").await);
    app.tenancy.relay().drain(Plane::Control).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(app.store.clone());
    let bystander = Context::Tenant(context(&provisioned(&app.store, "initech").await));
    let control = fixtures::control();
    for (one, other) in acme.iter().zip(&globex) {
        let (one, other) = (Context::Tenant(one.clone()), Context::Tenant(other.clone()));
        for elsewhere in [&other, &bystander, &control] {
            assert_apart(&store, &one, elsewhere).await;
            assert_apart(&store, elsewhere, &one).await;
        }
    }

    for context in acme.iter().chain(&globex) {
        let mut tx = app.store.begin(context).await.unwrap();
        let insert = sqlx::query("INSERT INTO notes (text) VALUES ($1)").bind(context.tenant().slug.as_str());
        insert.execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
    }
    for context in acme.iter().chain(&globex) {
        for write in [true, false] {
            let mut tx = match write {
                true => app.store.begin(context).await.unwrap(),
                false => app.store.read(context).await.unwrap(),
            };
            let notes: Vec<String> =
                sqlx::query_scalar("SELECT text FROM notes").fetch_all(tx.conn()).await.unwrap();
            assert_eq!(notes, vec![context.tenant().slug.to_string(); 6]);
            let tenants: Vec<uuid::Uuid> = sqlx::query_scalar(
                "SELECT tenant_id FROM multitenancy_marker UNION SELECT tenant_id FROM multitenancy_users \
                 UNION SELECT tenant_id FROM multitenancy_sessions UNION SELECT tenant_id FROM multitenancy_outbox \
                 UNION SELECT tenant_id FROM multitenancy_consumed_events \
                 UNION SELECT tenant_id FROM multitenancy_audit",
            )
            .fetch_all(tx.conn())
            .await
            .unwrap();
            assert_eq!(tenants, [context.tenant_id().as_uuid()]);
        }
    }
}
