//! What belongs to one tenant is nowhere else: not for another tenant, not for the platform, by no method; and the
//! other way round. `Store` 1, S26.

use std::sync::Arc;

use multitenancy_core::{Context, Environment, EventId, Store, User, event::Envelope};
use tokio::task::JoinSet;

use crate::{
    ContextExt, TestEvent,
    audit::{all, known_record},
    fixtures::{self, after, instant, lease, password_hash, refresh_digest, session, user},
    outbox, planes, rounds,
    session::begin_session,
    within_limit,
};

/// One address in two tenants and on the platform is three users, each found on its own plane.
pub async fn one_address_is_a_user_on_each_plane(store: Arc<dyn Store>) {
    let planes = three_planes(&store).await;
    let users: Vec<User> = planes.iter().map(|_| user("ada@example.com")).collect();
    for (plane, user) in planes.iter().zip(&users) {
        plane.add_user(&store, user).await;
    }
    for (plane, user) in planes.iter().zip(&users) {
        let mut unit = plane.read(&store).await.unwrap();
        let found = unit.users().find_by_email(&fixtures::email("ada@example.com")).await.unwrap();
        assert_eq!(found.as_ref(), Some(user), "on {}", plane.plane());
    }
}

/// A user is not there on another plane, for any method, and no method changes them from there.
pub async fn a_user_is_nowhere_else(store: Arc<dyn Store>) {
    for (home, elsewhere) in pairs(&store).await {
        assert_no_user_of(&store, &home, &elsewhere).await;
    }
}

async fn assert_no_user_of(store: &Arc<dyn Store>, home: &Context, elsewhere: &Context) {
    let platform_user = user("platform@example.com").id;
    let ada = User { platform_user_id: Some(platform_user), ..user(&format!("{platform_user}@example.com")) };
    let mut unit = home.begin(store).await.unwrap();
    unit.users().insert(&ada, Some(&password_hash('a'))).await.unwrap();
    unit.commit().await.unwrap();

    let mut unit = elsewhere.begin(store).await.unwrap();
    let users = unit.users();
    assert_eq!(users.find(ada.id).await.unwrap(), None);
    assert_eq!(users.find_by_email(&ada.email).await.unwrap(), None);
    assert_eq!(users.find_by_platform_user(platform_user).await.unwrap(), None);
    assert_eq!(users.find_for_update(ada.id).await.unwrap(), None);
    assert_eq!(users.password_hash(ada.id).await.unwrap(), None);
    assert!(!users.update(&User { is_active: false, ..ada.clone() }).await.unwrap());
    assert!(!users.set_password_hash(ada.id, &password_hash('b')).await.unwrap());
    assert!(!users.record_login(ada.id, after(1)).await.unwrap());
    unit.commit().await.unwrap();

    let mut unit = home.read(store).await.unwrap();
    assert_eq!(unit.users().password_hash(ada.id).await.unwrap(), Some(password_hash('a')));
    assert_eq!(unit.users().find(ada.id).await.unwrap(), Some(ada));
}

/// A session and its refresh token are nothing on another plane (S67).
pub async fn a_session_is_nowhere_else(store: Arc<dyn Store>) {
    for (home, elsewhere) in pairs(&store).await {
        assert_no_session_of(&store, &home, &elsewhere).await;
    }
}

async fn assert_no_session_of(store: &Arc<dyn Store>, home: &Context, elsewhere: &Context) {
    let (begun, token) = begin_session(store, home).await;
    let mut unit = elsewhere.begin(store).await.unwrap();
    let sessions = unit.sessions();
    assert_eq!(sessions.find(begun.id).await.unwrap(), None);
    assert_eq!(sessions.rotate(&token, &refresh_digest(), after(1)).await.unwrap(), None);
    assert!(!sessions.revoke(begun.id, after(1)).await.unwrap());
    unit.commit().await.unwrap();

    let mut unit = home.begin(store).await.unwrap();
    assert_eq!(unit.sessions().find(begun.id).await.unwrap(), Some(begun));
    assert!(unit.sessions().rotate(&token, &refresh_digest(), after(1)).await.unwrap().is_some());
}

/// An event is not there on another plane, and no lease reaches it from there.
pub async fn an_event_is_nowhere_else(store: Arc<dyn Store>) {
    for (home, elsewhere) in pairs(&store).await {
        assert_no_event_of(&store, &home, &elsewhere).await;
    }
}

async fn assert_no_event_of(store: &Arc<dyn Store>, home: &Context, elsewhere: &Context) {
    home.publish(store, [TestEvent::new("a", 1), TestEvent::new("b", 1)]).await;
    let held = lease();
    let claimed = outbox::claim(store, home, held, instant(), 1).await;
    let event = outbox::ids(&claimed)[0];

    let mut unit = elsewhere.begin(store).await.unwrap();
    let outbox = unit.outbox();
    assert_eq!(outbox.pending().await.unwrap(), 0);
    let taken = outbox.claim(lease(), after(1_000_000), after(2_000_000), 10).await.unwrap();
    assert_eq!(taken, outbox::nothing());
    assert!(!outbox.delivered(held, event).await.unwrap());
    assert!(!outbox.retry(held, event, instant(), "no").await.unwrap());
    assert!(!outbox.park(held, event, instant(), "never").await.unwrap());
    unit.commit().await.unwrap();

    let mut unit = home.begin(store).await.unwrap();
    assert_eq!(unit.outbox().pending().await.unwrap(), 2);
    assert!(unit.outbox().park(held, event, instant(), "never").await.unwrap(), "still held");
    unit.commit().await.unwrap();
    let mut unit = elsewhere.read(store).await.unwrap();
    let parked = unit.outbox().parked(100).await.unwrap();
    assert!(parked.iter().all(|parked| parked.event_id != event));
    drop(unit);
    // The pairs share their planes: leave none behind.
    let rest = lease();
    let claimed = outbox::claim(store, home, rest, instant(), 10).await;
    let mut unit = home.begin(store).await.unwrap();
    for id in outbox::ids(&claimed) {
        assert!(unit.outbox().delivered(rest, id).await.unwrap());
    }
    unit.commit().await.unwrap();
}

/// A record of the audit log is not there on another plane.
pub async fn an_audit_record_is_nowhere_else(store: Arc<dyn Store>) {
    for (home, elsewhere) in pairs(&store).await {
        assert_no_record_of(&store, &home, &elsewhere).await;
    }
}

async fn assert_no_record_of(store: &Arc<dyn Store>, home: &Context, elsewhere: &Context) {
    let record = known_record();
    let mut unit = home.begin(store).await.unwrap();
    unit.audit().append(&record).await.unwrap();
    unit.commit().await.unwrap();
    for (plane, expected) in [(home, true), (elsewhere, false)] {
        assert_eq!(all(store, plane, 100).await.contains(&record), expected, "on {}", plane.plane());
    }
}

/// What a consumer has dealt with on one plane it has not on another.
pub async fn a_consumed_event_is_not_consumed_elsewhere(store: Arc<dyn Store>) {
    for (home, elsewhere) in pairs(&store).await {
        assert_not_consumed_in(&store, &home, &elsewhere).await;
    }
}

async fn assert_not_consumed_in(store: &Arc<dyn Store>, home: &Context, elsewhere: &Context) {
    let event = EventId::generate(&Environment::system());
    for (plane, first) in [(home, true), (elsewhere, true), (home, false), (elsewhere, false)] {
        let mut unit = plane.begin(store).await.unwrap();
        assert_eq!(unit.consumed().contains("mail", event).await.unwrap(), !first);
        assert_eq!(unit.consumed().record("mail", event).await.unwrap(), first);
        unit.commit().await.unwrap();
    }
}

/// The same ids on two planes do not meet: a hidden row refuses nothing, so it betrays nothing (S14).
pub async fn hidden_rows_refuse_nothing(store: Arc<dyn Store>) {
    let ada = User { platform_user_id: Some(user("x@example.com").id), ..user("ada@example.com") };
    let (begun, token) = (session(ada.id), refresh_digest());
    let event_id = EventId::generate(&Environment::system());
    let planes = three_planes(&store).await;
    for plane in &planes {
        let mut unit = plane.begin(&store).await.unwrap();
        unit.users().insert(&ada, None).await.unwrap();
        unit.sessions().insert(&begun, &token).await.unwrap();
        let event = TestEvent::new("a", 1);
        let sealed = Envelope::seal(&event, plane.plane(), unit.origin(), unit.environment()).unwrap();
        unit.outbox().append(&Envelope { event_id, ..sealed }).await.unwrap();
        unit.commit().await.unwrap();
    }
    for plane in &planes {
        let claimed = outbox::claim(&store, plane, lease(), instant(), 10).await;
        assert_eq!(outbox::ids(&claimed), [event_id], "on {}", plane.plane());
        assert_eq!(claimed.events[0].envelope.tenant, plane.tenant_id());
    }
}

/// Units in many tenants at once each see their own tenant (S28).
pub async fn many_tenants_at_once_see_their_own(store: Arc<dyn Store>) {
    const TENANTS: usize = 8;
    let mut tasks = JoinSet::new();
    for index in 0..TENANTS {
        let plane = Context::Tenant(fixtures::active_tenant(&*store, &format!("tenant-{index}")).await);
        let (store, own) = (store.clone(), user("ada@example.com"));
        plane.add_user(&store, &own).await;
        tasks.spawn(async move {
            for round in 0..rounds(20) {
                let mut unit = match round % 2 {
                    0 => plane.read(&store).await.unwrap(),
                    _ => plane.begin(&store).await.unwrap(),
                };
                let found = unit.users().find_by_email(&own.email).await.unwrap();
                assert_eq!(found.as_ref(), Some(&own));
                tokio::task::yield_now().await;
                if round % 3 == 0 {
                    unit.commit().await.unwrap();
                }
            }
        });
    }
    within_limit("looking", tasks.join_all()).await;
}

/// What `home` keeps is not there for `elsewhere`, by no method, and is left as it was: users, sessions, events and
/// what was consumed. For contexts of any making (S8); neither outbox may hold anything.
pub async fn assert_apart(store: &Arc<dyn Store>, home: &Context, elsewhere: &Context) {
    assert_no_user_of(store, home, elsewhere).await;
    assert_no_session_of(store, home, elsewhere).await;
    assert_no_event_of(store, home, elsewhere).await;
    assert_not_consumed_in(store, home, elsewhere).await;
    assert_no_record_of(store, home, elsewhere).await;
}

async fn three_planes(store: &Arc<dyn Store>) -> [Context; 3] {
    let [control, acme] = planes(store).await;
    let globex = Context::Tenant(fixtures::active_tenant(&**store, "globex").await);
    [control, acme, globex]
}

/// Each of three planes with each of the others.
async fn pairs(store: &Arc<dyn Store>) -> Vec<(Context, Context)> {
    let planes = three_planes(store).await;
    let others = |home: &Context| {
        let (home, planes) = (home.clone(), planes.clone());
        planes.into_iter().filter(move |other| other.plane() != home.plane())
    };
    planes.iter().flat_map(|home| others(home).map(|other| (home.clone(), other))).collect()
}
