//! S115, S116: a tenant exists completely or not at all, under concurrent requests and after an end of the process at
//! any instant.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use multitenancy_core::{
    Caller, ControlContext, Error, ErrorKind, Isolation, Plane, Result, Store, Tenancy, Tenant, TenantId,
    access::RequestFacts,
    account::{Credentials, Registration},
    auth::{Client, KeyRing, SigningKey},
    organization::NewOrganization,
    page::PageRequest,
    tenant::TenantStatus,
};
use multitenancy_testkit::{
    Harness, ProbedStore,
    cancellation::{CancelAfter, Cut},
    fixtures,
    probe::{Call, Moment},
    smoke_or,
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::{
    server::{Server, url},
    watch::eventually,
};

/// Every tenant whose storage was ever requested.
type Provisioned = Arc<Mutex<BTreeSet<TenantId>>>;

/// Opens the store of `server` as the next process would.
async fn reopened(server: &Server) -> Arc<dyn Store> {
    server.store(&server.last()).await
}

/// A tenant's objects on the server: its schema, its database, its rows in shared tables.
async fn storage_of(server: &Server, tenant: TenantId) -> Vec<String> {
    let mut connection = PgConnection::connect(&url(&server.last())).await.unwrap();
    let sql = "SELECT 'the schema ' || nspname FROM pg_namespace WHERE nspname = $1 \
               UNION ALL SELECT 'the database ' || datname FROM pg_database WHERE datname = $1 \
               UNION ALL SELECT 'a marker' FROM tenants.multitenancy_marker WHERE tenant_id = $2 \
               UNION ALL SELECT 'a user' FROM tenants.multitenancy_users WHERE tenant_id = $2 \
               UNION ALL SELECT 'an event' FROM tenants.multitenancy_outbox WHERE tenant_id = $2";
    let found = sqlx::query_scalar(sql).bind(format!("tenant_{}", tenant.as_uuid().simple()));
    found.bind(tenant.as_uuid()).fetch_all(&mut connection).await.unwrap()
}

/// Waits until no connection works for `server`'s store: statements that were cut off may still run.
async fn quiet(server: &Server) {
    let mut connection = PgConnection::connect(&url(&server.last())).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state <> 'idle' \
               AND datname = current_database() AND backend_type = 'client backend'";
    eventually("no connection works", Duration::from_secs(10), async || {
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.unwrap() == 0
    })
    .await;
}

/// A store that records whose storage was ever requested.
fn remembering(store: Arc<dyn Store>, provisioned: &Provisioned) -> Arc<dyn Store> {
    let provisioned = provisioned.clone();
    Arc::new(ProbedStore::new(store, move |call: Call| {
        if let ("provision", Some(Plane::Tenant(id))) = (call.name, call.plane) {
            provisioned.lock().unwrap().insert(id);
        }
        async { Ok(()) }
    }))
}

fn tenancy(store: Arc<dyn Store>) -> Tenancy {
    let key = SigningKey::hs256(&SecretString::from("4f8c1b7e-2d95-4a60-b3f1-9e07c5d8a216")).unwrap();
    Tenancy::builder_dyn(store).keys(KeyRing::new(key)).without_background_work().build().unwrap()
}

/// A user of the platform who has signed in.
async fn ada(tenancy: &Tenancy) -> Caller {
    let facts = RequestFacts::default();
    let realm = tenancy.access().context(&facts).await.unwrap();
    let (email, password) =
        ("ada@example.com".to_owned(), SecretString::from("correct horse battery staple"));
    let registration = Registration { email: email.clone(), password: password.clone(), full_name: None };
    tenancy.accounts().register(&realm, registration).await.unwrap();
    let credentials = Credentials { email, password };
    let signed_in =
        tenancy.accounts().log_in(&realm, credentials, Client::default()).await.unwrap().complete().unwrap();
    tenancy.access().authenticate(signed_in.access_token.expose_secret(), &facts).await.unwrap()
}

fn organization(slug: &str) -> NewOrganization {
    NewOrganization { name: slug.parse().unwrap(), slug: Some(slug.parse().unwrap()), isolation: None }
}

/// Every registered tenant is active with its owner inside. Every other tenant that was ever begun has no row, no
/// schema and no database. Returns the number of registered tenants.
async fn assert_nothing_orphaned(
    server: &Server,
    store: &Arc<dyn Store>,
    provisioned: &Provisioned,
) -> usize {
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    let tenants = unit.tenants().list(None, &PageRequest::first(100)).await.unwrap().items;
    for tenant in &tenants {
        assert_eq!(tenant.status, TenantStatus::Active, "{}", tenant.slug);
        assert!(unit.memberships().find(tenant.id, tenant.owner_id).await.unwrap().is_some());
    }
    drop(unit);
    for tenant in &tenants {
        let mut unit = store.read(&fixtures::context(tenant)).await.unwrap();
        let owner = unit.users().find_by_platform_user(tenant.owner_id).await.unwrap();
        assert!(owner.is_some_and(|owner| owner.is_owner), "{} has no owner", tenant.slug);
        assert_eq!(unit.outbox().pending().await.unwrap(), 1, "user.created, once");
    }
    let begun = provisioned.lock().unwrap().clone();
    for id in begun {
        if tenants.iter().all(|tenant| tenant.id != id) {
            assert_eq!(storage_of(server, id).await, Vec::<String>::new(), "orphaned storage");
        }
    }
    tenants.len()
}

/// S115: of a hundred concurrent requests one gets the slug, completely, and the others are refused.
async fn one_of_a_hundred(isolation: Isolation) {
    let (server, provisioned) = (Server::new(isolation), Provisioned::default());
    let store = remembering(server.open().await, &provisioned);
    let tenancy = tenancy(store.clone());
    let ada = ada(&tenancy).await;
    for round in 0..smoke_or(1, 3) {
        let outcomes = a_hundred_at_once(&tenancy, &ada, &format!("wanted-{round}")).await;
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(made, 1, "one gets it");
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "slug_taken"), "{error:?}");
        }
        assert_eq!(assert_nothing_orphaned(&server, &store, &provisioned).await, round + 1);
    }
    assert_eq!(
        provisioned.lock().unwrap().len(),
        smoke_or(1, 3),
        "the others have not begun to make storage"
    );
}

/// The control: without the unique key on slugs several requests get the slug, and the test would detect it.
#[tokio::test(flavor = "multi_thread")]
async fn s115_control_missing_unique_key_duplicates_slugs() {
    let server = Server::new(Isolation::Shared);
    let store = server.open().await;
    let mut connection = PgConnection::connect(&url(&server.last())).await.unwrap();
    let drop_key = "ALTER TABLE multitenancy_tenants DROP CONSTRAINT multitenancy_tenants_slug_key";
    sqlx::query(drop_key).execute(&mut connection).await.unwrap();
    let tenancy = tenancy(store);
    let outcomes = a_hundred_at_once(&tenancy, &ada(&tenancy).await, "wanted").await;
    assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() > 1);
}

async fn a_hundred_at_once(tenancy: &Tenancy, ada: &Caller, slug: &str) -> Vec<Result<Tenant>> {
    let mut running = JoinSet::new();
    for _ in 0..100 {
        let (tenancy, ada, new) = (tenancy.clone(), ada.clone(), organization(slug));
        running.spawn(async move { tenancy.organizations().create(&ada, new).await });
    }
    running.join_all().await
}

/// A process that ends at the `step`th call on its store, at `moment` of that call; with `fails`, the steps after the
/// storage fail too, so that the undo steps are reached.
#[derive(Debug, Clone, Copy)]
struct Process {
    step: usize,
    moment: Moment,
    fails: bool,
}

impl Process {
    fn slug(self) -> String {
        format!("acme-{}", self.step)
    }

    /// Creates an organization in this process, which has its own runtime and connections. Returns whether the
    /// creation ended before the process did.
    fn create(self, server: &Server, ada: &Caller, provisioned: &Provisioned) -> bool {
        let calls = Arc::new(AtomicUsize::new(0));
        let counting = calls.clone();
        let probe = move |call: Call| {
            let counted = call.moment == self.moment;
            let ends = counted && counting.fetch_add(1, Ordering::AcqRel) + 1 == self.step;
            async move {
                if ends {
                    std::future::pending::<()>().await;
                }
                let refused = self.fails && call.moment == Moment::After && call.name == "provision";
                if refused { Err(Error::internal("the disk is full")) } else { Ok(()) }
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = remembering(reopened(server).await, provisioned);
            let tenancy = tenancy(Arc::new(ProbedStore::new(store, probe)));
            let creating = tenancy.organizations().create(ada, organization(&self.slug()));
            let waiting = async {
                while calls.load(Ordering::Acquire) < self.step {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::select! {
                biased;
                _either = creating => true,
                () = waiting => false,
            }
        })
    }
}

/// Ends processes at every step in turn; after each, the next start finishes or undoes the creation. Returns the
/// number of steps.
async fn sweep(isolation: Isolation, moment: Moment, fails: bool) -> usize {
    let (server, provisioned) = (Arc::new(Server::new(isolation)), Provisioned::default());
    let store = server.open().await;
    let caller = ada(&tenancy(store.clone())).await;
    for step in 1.. {
        let process = Process { step, moment, fails };
        let (ending, ada, begun) = (server.clone(), caller.clone(), provisioned.clone());
        let ended = tokio::task::spawn_blocking(move || process.create(&ending, &ada, &begun)).await.unwrap();

        let next = tenancy(remembering(reopened(&server).await, &provisioned));
        next.organizations().resume().await.unwrap();
        assert_nothing_orphaned(&server, &store, &provisioned).await;
        assert_eq!(next.organizations().resume().await.unwrap(), 0, "{process:?}: nothing is left to do");
        if next.access().find_tenant(&process.slug().parse().unwrap()).await.unwrap().is_none() {
            next.organizations().create(&caller, organization(&process.slug())).await.unwrap();
        }
        assert_eq!(assert_nothing_orphaned(&server, &store, &provisioned).await, step);
        if ended {
            return step - 1;
        }
    }
    unreachable!("every creation ends")
}

/// The process ends while the server still runs its statement: the server does not complete what the next process
/// undoes.
async fn cut_off_in_the_midst(isolation: Isolation) {
    let server = Server::new(isolation);
    let store = server.open().await;
    let mut begun = Vec::new();
    for polls in (0..).step_by(2) {
        let tenant = fixtures::tenant(&*store, &format!("acme-{polls}"));
        begun.push(tenant.id);
        let finished = CancelAfter::new(store.provision(&tenant), polls, Cut::AtOnce).await;
        store.deprovision(&tenant).await.unwrap();
        if finished.is_some() {
            break;
        }
    }
    quiet(&server).await;
    for tenant in begun {
        assert_eq!(storage_of(&server, tenant).await, Vec::<String>::new(), "orphaned storage");
    }
}

/// A process that starts treats a running creation as interrupted: it continues it, and undoes nothing.
async fn started_meanwhile(isolation: Isolation) {
    let (server, provisioned) = (Server::new(isolation), Provisioned::default());
    let store = remembering(server.open().await, &provisioned);
    // A delay, so that the start falls into the creation.
    let slow = ProbedStore::new(store.clone(), |call: Call| async move {
        if (call.name, call.moment) == ("provision", Moment::After) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    });
    let creating = tenancy(Arc::new(slow));
    let caller = ada(&creating).await;
    let other = reopened(&server).await;
    let mut resumed = 0;
    for round in 0..smoke_or(8, 20) {
        let (creating, caller, new) =
            (creating.clone(), caller.clone(), organization(&format!("acme-{round}")));
        let making = tokio::spawn(async move { creating.organizations().create(&caller, new).await });
        while !making.is_finished() {
            resumed += tenancy(other.clone()).organizations().resume().await.unwrap();
        }
        making.await.unwrap().unwrap();
        assert_eq!(assert_nothing_orphaned(&server, &store, &provisioned).await, round + 1);
    }
    assert!(resumed > 0, "no start came in between");
}

/// The control: `assert_nothing_orphaned` finds a creation that was undone without its storage.
async fn a_forgotten_storage_is_seen(isolation: Isolation) {
    let (server, provisioned) = (Server::new(isolation), Provisioned::default());
    let store = remembering(server.open().await, &provisioned);
    let tenant = fixtures::tenant(&*store, "acme");
    store.provision(&tenant).await.unwrap();
    let found = AssertUnwindSafe(assert_nothing_orphaned(&server, &store, &provisioned)).catch_unwind().await;
    assert!(found.is_err(), "its orphaned storage is not found");
    store.deprovision(&tenant).await.unwrap();
    assert_eq!(assert_nothing_orphaned(&server, &store, &provisioned).await, 0);
}

macro_rules! in_each_isolation {
    ($($mode:ident: $isolation:ident;)*) => {$(
        mod $mode {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn s115_concurrent_creation_gives_one_slug() {
                one_of_a_hundred(Isolation::$isolation).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn s116_process_ends_before_any_step() {
                let steps = sweep(Isolation::$isolation, Moment::Before, false).await;
                assert!(steps >= 8, "{steps} steps");
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn s116_process_ends_after_any_step() {
                let steps = sweep(Isolation::$isolation, Moment::After, false).await;
                assert!(steps >= 8, "{steps} steps");
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn s116_process_ends_after_any_step_of_removal() {
                let steps = sweep(Isolation::$isolation, Moment::After, true).await;
                assert!(steps >= 8, "{steps} steps");
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn s116_process_ends_during_provisioning() {
                cut_off_in_the_midst(Isolation::$isolation).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn s116_start_during_creation_undoes_nothing() {
                started_meanwhile(Isolation::$isolation).await;
            }

            #[tokio::test]
            async fn s116_control_orphaned_storage_is_found() {
                a_forgotten_storage_is_seen(Isolation::$isolation).await;
            }
        }
    )*};
}

in_each_isolation! {
    shared: Shared;
    schema: Schema;
    database: Database;
}
