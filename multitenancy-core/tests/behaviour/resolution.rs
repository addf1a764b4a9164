//! S1, S3, S57, S66, S107: whom a request belongs to, and what is remembered of that.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use multitenancy_core::{
    ControlContext, ErrorKind, Plane, Store,
    access::RequestFacts,
    actor::{Actor, RequestId},
    tenant::TenantStatus,
};
use multitenancy_testkit::{
    ProbedStore, SeededRandom, fixtures,
    probe::{Call, Moment},
    rounds,
};
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;

use crate::support::{ADA, App, code, naming, set_status, shown};

type Log = Arc<Mutex<Vec<(&'static str, Option<Plane>)>>>;

/// An application whose store keeps a list of the calls on it.
fn counted() -> (App, Log) {
    let log = Log::default();
    let telling = log.clone();
    let app = App::composed(
        |store| {
            Arc::new(ProbedStore::new(store, move |call: Call| {
                if call.moment == Moment::Before {
                    telling.lock().unwrap().push((call.name, call.plane));
                }
                async { Ok(()) }
            }))
        },
        |builder| builder,
    );
    (app, log)
}

fn count(log: &Log, name: &str) -> usize {
    log.lock().unwrap().iter().filter(|(call, _)| *call == name).count()
}

/// S3: there is no default tenant, all parts of a request agree, and only an active tenant is entered.
#[tokio::test]
async fn s3_a_realm_is_what_all_parts_name() {
    let app = App::new();
    let (acme, _) = app.tenant("acme").await;
    let (globex, _) = app.tenant("globex").await;
    let id = acme.tenant_id().to_string();
    assert_eq!(app.platform().await.plane(), Plane::Control);
    for keys in [&["acme"][..], &[&id], &["acme", &id], &[&id, "acme", "acme"]] {
        let realm = app.tenancy.access().context(&naming(keys)).await.unwrap();
        assert_eq!(realm.plane(), Plane::Tenant(acme.tenant_id()), "{keys:?}");
        assert_eq!(
            app.tenancy.access().tenant_context(&naming(keys)).await.unwrap().tenant_id(),
            acme.tenant_id()
        );
    }
    for (keys, refusal) in [
        (&["acme", "globex"][..], "tenant_mismatch"),
        (&["acme", "nowhere"], "tenant_mismatch"),
        (&["nowhere", "acme"], "tenant_not_found"),
        (&["nowhere"], "tenant_not_found"),
    ] {
        assert_eq!(code(app.tenancy.access().context(&naming(keys)).await), refusal, "{keys:?}");
        assert_eq!(code(app.tenancy.access().tenant_context(&naming(keys)).await), refusal, "{keys:?}");
    }
    let required = shown(app.tenancy.access().tenant_context(&naming(&[])).await);
    assert_eq!((required.0, required.1), (ErrorKind::Malformed, "tenant_required"));
    set_status(&app.store, globex.tenant_id(), TenantStatus::Active, TenantStatus::Suspended).await;
    assert_eq!(code(app.tenancy.access().context(&naming(&["globex"])).await), "tenant_inactive");
    let waiting = fixtures::tenant(&*app.store, "initech");
    fixtures::register(&*app.store, &waiting).await;
    assert_eq!(code(app.tenancy.access().context(&naming(&["initech"])).await), "tenant_inactive");
}

/// S1, S57: the token decides. A request that names another tenant besides is refused, whether that one exists or
/// not, and it is not looked up: nothing of it can show, in bytes or in time.
#[tokio::test]
async fn s1_the_token_decides() {
    let (app, log) = counted();
    let (acme, realm) = app.tenant("acme").await;
    let (globex, _) = app.tenant("globex").await;
    app.register(&realm, ADA).await;
    let token = app.log_in(&realm, ADA).await.unwrap().access_token;
    let token = token.expose_secret();
    let (own, other) = (acme.tenant_id().to_string(), globex.tenant_id().to_string());
    let stranger = fixtures::tenant(&*app.store, "stranger").id.to_string();

    for keys in [&[][..], &["acme"], &[&own], &["acme", &own]] {
        let caller = app.tenancy.access().authenticate(token, &naming(keys)).await.unwrap();
        assert_eq!(caller.tenant_context().unwrap().tenant_id(), acme.tenant_id(), "{keys:?}");
    }
    log.lock().unwrap().clear();
    let refusals = [
        &["globex"][..],
        &[&other],
        &["nowhere"],
        &[&stranger],
        &["acme", "globex"],
        &["globex", "acme"],
        &[&own, "nowhere"],
    ]
    .map(naming);
    let mut answers = Vec::new();
    for facts in &refusals {
        answers.push(shown(app.tenancy.access().authenticate(token, facts).await));
    }
    assert_eq!((answers[0].0, answers[0].1), (ErrorKind::Forbidden, "tenant_mismatch"));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(*log.lock().unwrap(), [], "nothing was looked up");
}

/// S1: what only asserts a tenant chooses none, and must agree with what does.
#[tokio::test]
async fn s1_what_asserts_a_tenant_does_not_choose_it() {
    let app = App::new();
    let (acme, realm) = app.tenant("acme").await;
    app.tenant("globex").await;
    app.register(&realm, ADA).await;
    let token = app.log_in(&realm, ADA).await.unwrap().access_token;
    let facts = |chosen: &[&str], asserted: &[&str]| RequestFacts {
        asserted_keys: naming(asserted).tenant_keys,
        ..naming(chosen)
    };
    let id = acme.tenant_id().to_string();
    for asserted in [&[][..], &["acme"], &[&id], &["acme", &id]] {
        app.tenancy.access().authenticate(token.expose_secret(), &facts(&[], asserted)).await.unwrap();
        let realm = app.tenancy.access().context(&facts(&["acme"], asserted)).await.unwrap();
        assert_eq!(realm.plane().tenant(), Some(acme.tenant_id()));
    }
    for asserted in [&["globex"][..], &["nowhere"], &["acme", "globex"]] {
        let (alone, beside) = (facts(&[], asserted), facts(&["acme"], asserted));
        for facts in [&alone, &beside] {
            assert_eq!(
                code(app.tenancy.access().authenticate(token.expose_secret(), facts).await),
                "tenant_mismatch"
            );
            assert_eq!(code(app.tenancy.access().context(facts).await), "tenant_mismatch");
            assert_eq!(code(app.tenancy.access().tenant_context(facts).await), "tenant_mismatch");
        }
    }
    assert_eq!(
        code(app.tenancy.access().context(&facts(&[], &["acme"])).await),
        "tenant_mismatch",
        "it is no choice"
    );
}

/// S1: a token of the platform is of no tenant, and one that names a tenant besides is refused.
#[tokio::test]
async fn s1_a_platform_token_is_of_no_tenant() {
    let app = App::new();
    app.tenant("acme").await;
    let platform = app.platform().await;
    app.register(&platform, ADA).await;
    let token = app.log_in(&platform, ADA).await.unwrap().access_token;
    let authenticate =
        async |keys: &[&str]| app.tenancy.access().authenticate(token.expose_secret(), &naming(keys)).await;
    let caller = authenticate(&[]).await.unwrap();
    assert!(caller.control_context().is_ok());
    assert_eq!(code(caller.tenant_context()), "wrong_scope");
    assert_eq!(code(authenticate(&["acme"]).await), "tenant_mismatch");
    assert_eq!(code(authenticate(&["nowhere"]).await), "tenant_mismatch");
}

/// The origin of work is who the token says, in the request at hand.
#[tokio::test]
async fn a_context_tells_who_and_in_which_request() {
    let app = App::new();
    let (_, realm) = app.tenant("acme").await;
    let ada = app.register(&realm, ADA).await;
    let token = app.log_in(&realm, ADA).await.unwrap().access_token;
    let facts = RequestFacts { request_id: RequestId::parse("request-7"), ..RequestFacts::default() };
    let caller = app.tenancy.access().authenticate(token.expose_secret(), &facts).await.unwrap();
    let origin = caller.tenant_context().unwrap().origin();
    assert_eq!(origin.actor, Actor::TenantUser { id: ada.id });
    assert_eq!(origin.request_id.as_ref().map(RequestId::as_str), Some("request-7"));
    let realm = app.tenancy.access().context(&facts).await.unwrap();
    let unit = app.store.control(match &realm {
        multitenancy_core::Context::Control(context) => context,
        multitenancy_core::Context::Tenant(_) => panic!("nobody named a tenant"),
    });
    assert_eq!(unit.await.unwrap().origin().actor, Actor::Anonymous);
}

/// Tenants are found in memory: six hundred of them, by slug and by id, without the store from the second time on.
#[tokio::test]
async fn six_hundred_tenants_resolve_from_memory() {
    const TENANTS: usize = 600;
    let (app, log) = counted();
    let mut unit = app.store.control(&ControlContext::system("test")).await.unwrap();
    let mut tenants = Vec::new();
    for index in 0..TENANTS {
        let slug = format!("tenant-{index}");
        let tenant = multitenancy_core::Tenant {
            status: TenantStatus::Active,
            ..fixtures::tenant(&*app.store, &slug)
        };
        unit.tenants().insert(&tenant).await.unwrap();
        tenants.push((slug, tenant.id));
    }
    unit.commit().await.unwrap();
    for turn in 0..3 {
        for (slug, id) in &tenants {
            let by_slug = app.tenancy.access().context(&naming(&[slug])).await.unwrap();
            let by_id = app.tenancy.access().context(&naming(&[&id.to_string()])).await.unwrap();
            assert_eq!((by_slug.plane(), by_id.plane()), (Plane::Tenant(*id), Plane::Tenant(*id)));
        }
        assert_eq!(count(&log, "tenants.find"), TENANTS, "turn {turn}: once each");
    }
}

/// S107: what is remembered ends with its time.
#[tokio::test]
async fn what_is_remembered_ends_with_its_time() {
    let log = Log::default();
    let telling = log.clone();
    let probe = move |call: Call| {
        telling.lock().unwrap().push((call.name, call.plane));
        async { Ok(()) }
    };
    let app = App::composed(
        |store| Arc::new(ProbedStore::new(store, probe)),
        |builder| builder.tenant_cache_ttl(Duration::from_secs(40)),
    );
    app.tenant("acme").await;
    let looks = async || {
        let before = count(&log, "tenants.find");
        app.tenancy.access().context(&naming(&["acme"])).await.unwrap();
        count(&log, "tenants.find") - before
    };
    looks().await;
    app.clock.advance(Duration::from_millis(39_999));
    assert_eq!(looks().await, 0);
    app.clock.advance(Duration::from_millis(1));
    assert_ne!(looks().await, 0);
}

/// S107, S117: a suspension shows on the very next request, by every name; so does its end.
#[tokio::test]
async fn s107_a_suspension_shows_at_once() {
    let app = App::new();
    let (acme, realm) = app.tenant("acme").await;
    app.register(&realm, ADA).await;
    let signed_in = app.log_in(&realm, ADA).await.unwrap();
    let id = acme.tenant_id().to_string();
    for _ in 0..3 {
        for (from, to) in
            [(TenantStatus::Active, TenantStatus::Suspended), (TenantStatus::Suspended, TenantStatus::Active)]
        {
            set_status(&app.store, acme.tenant_id(), from, to).await;
            let active = to == TenantStatus::Active;
            for key in ["acme", &id] {
                assert_eq!(app.tenancy.access().context(&naming(&[key])).await.is_ok(), active);
            }
            let authenticated = app.authenticate(&signed_in).await;
            assert_eq!(authenticated.is_ok(), active);
            assert!(active || code(authenticated) == "tenant_inactive");
        }
    }
}

/// A store that can be stopped after one call: it says that it has come there, and goes on when it is let.
#[derive(Clone)]
struct Gate {
    name: &'static str,
    armed: Arc<Semaphore>,
    arrived: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Gate {
    fn after(name: &'static str) -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { name, armed: closed(), arrived: closed(), go: closed() }
    }

    fn before(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        let gate = self.clone();
        Arc::new(ProbedStore::new(store, move |call: Call| {
            let gate = gate.clone();
            async move {
                let here = call.name == gate.name && call.moment == Moment::After;
                if here && let Ok(armed) = gate.armed.try_acquire() {
                    armed.forget();
                    gate.arrived.add_permits(1);
                    gate.go.acquire().await.unwrap().forget();
                }
                Ok(())
            }
        }))
    }
}

/// S107: a tenant that is suspended after it was read and before it is remembered is not remembered as active.
#[tokio::test]
async fn s107_no_stale_tenant_is_written_back() {
    let gate = Gate::after("tenants.find");
    let app = App::composed(|store| gate.before(store), |builder| builder);
    let acme = fixtures::active_tenant(&*app.store, "acme").await.tenant_id();
    gate.armed.add_permits(1);
    let reading = tokio::spawn({
        let tenancy = app.tenancy.clone();
        async move { tenancy.access().context(&naming(&["acme"])).await }
    });
    gate.arrived.acquire().await.unwrap().forget();
    set_status(&app.store, acme, TenantStatus::Active, TenantStatus::Suspended).await;
    gate.go.add_permits(1);
    assert!(reading.await.unwrap().is_ok(), "it was active when it was asked for");
    assert_eq!(code(app.tenancy.access().context(&naming(&["acme"])).await), "tenant_inactive");
}

/// S66: a session that is ended after it was read and before it is remembered is not remembered as going on.
#[tokio::test]
async fn s66_no_ended_session_is_written_back() {
    let gate = Gate::after("users.find");
    let app = App::composed(|store| gate.before(store), |builder| builder);
    let (_, realm) = app.tenant("acme").await;
    app.register(&realm, ADA).await;
    let signed_in = app.log_in(&realm, ADA).await.unwrap();
    let caller = app.authenticate(&signed_in).await.unwrap();
    app.clock.advance(Duration::from_secs(2));
    gate.armed.add_permits(1);
    let reading = tokio::spawn({
        let (tenancy, token) = (app.tenancy.clone(), signed_in.access_token.clone());
        async move { tenancy.access().authenticate(token.expose_secret(), &RequestFacts::default()).await }
    });
    gate.arrived.acquire().await.unwrap().forget();
    app.tenancy.accounts().log_out(&caller).await.unwrap();
    gate.go.add_permits(1);
    assert!(reading.await.unwrap().is_ok(), "it went on when it was asked for");
    assert_eq!(code(app.authenticate(&signed_in).await), "invalid_token", "at once in this process");
}

/// S107: readers and suspensions at once, many times: after a suspension has returned nobody finds the tenant active.
#[tokio::test(flavor = "multi_thread")]
async fn s107_no_race_writes_a_stale_tenant_back() {
    let random = Arc::new(SeededRandom::from_env());
    let pausing = random.clone();
    let probe = move |call: Call| {
        let random = pausing.clone();
        async move {
            if call.name == "tenants.find" {
                random.pause(Duration::from_micros(300)).await;
            }
            Ok(())
        }
    };
    let app = App::composed(|store| Arc::new(ProbedStore::new(store, probe)), |builder| builder);
    let acme = fixtures::active_tenant(&*app.store, "acme").await.tenant_id();
    let readers: Vec<_> = (0..6)
        .map(|reader| {
            let tenancy = app.tenancy.clone();
            let key = if reader % 2 == 0 { "acme".to_owned() } else { acme.to_string() };
            tokio::spawn(async move {
                loop {
                    let _either = tenancy.access().context(&naming(&[&key])).await;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..rounds(400) {
        set_status(&app.store, acme, TenantStatus::Active, TenantStatus::Suspended).await;
        for key in ["acme".to_owned(), acme.to_string()] {
            assert_eq!(
                code(app.tenancy.access().context(&naming(&[&key])).await),
                "tenant_inactive",
                "round {round}"
            );
        }
        set_status(&app.store, acme, TenantStatus::Suspended, TenantStatus::Active).await;
        random.pause(Duration::from_micros(300)).await;
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
}
