use std::sync::Arc;

use multitenancy_core::{
    ControlContext, ControlTransaction, Environment, EventId, Result, Store, UnitOfWorkExt, User,
    store::change_status,
    tenant::{Membership, TenantStatus},
};

use crate::{
    ContextExt, TestEvent, failure,
    fixtures::{self, after, instant, lease, password_hash, refresh_digest, session, user},
    outbox, planes,
    session::begin_session,
};

/// A read-only unit refuses every method that writes, on both planes, and nothing changes.
pub async fn a_read_refuses_to_write(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let ada = user("ada@example.com");
        plane.add_user(&store, &ada).await;
        let (begun, token) = begin_session(&store, &plane).await;
        plane.publish(&store, [TestEvent::new("a", 1), TestEvent::new("b", 1)]).await;
        let held = lease();
        let claimed = outbox::claim(&store, &plane, held, instant(), 1).await;
        let event = outbox::ids(&claimed)[0];

        // A unit for each: the first refusal may end it.
        macro_rules! refused {
            ($($repository:ident.$method:ident($($argument:expr),*);)*) => {$({
                let mut unit = plane.read(&store).await.unwrap();
                failure(unit.$repository().$method($($argument),*).await);
            })*};
        }
        let renamed = User { is_active: false, ..ada.clone() };
        let fresh = EventId::generate(&Environment::system());
        refused! {
            users.insert(&user("bob@example.com"), None);
            users.update(&renamed);
            users.set_password_hash(ada.id, &password_hash('a'));
            users.record_login(ada.id, after(1));
            sessions.insert(&session(ada.id), &refresh_digest());
            sessions.rotate(&token, &refresh_digest(), after(1));
            sessions.revoke(begun.id, after(1));
            outbox.claim(lease(), instant(), after(30), 10);
            outbox.delivered(held, event);
            outbox.retry(held, event, after(1), "no");
            outbox.park(held, event, after(1), "never");
            consumed.record("mail", fresh);
        }
        let mut unit = plane.read(&store).await.unwrap();
        failure(unit.publish(TestEvent::new("c", 1)).await);
        drop(unit);

        let mut unit = plane.read(&store).await.unwrap();
        assert_eq!(unit.users().find(ada.id).await.unwrap().as_ref(), Some(&ada));
        assert_eq!(unit.users().password_hash(ada.id).await.unwrap(), None);
        assert_eq!(unit.sessions().find(begun.id).await.unwrap(), Some(begun));
        assert_eq!(unit.outbox().pending().await.unwrap(), 2);
        assert!(!unit.consumed().contains("mail", fresh).await.unwrap());
    }
}

/// A read-only unit of the control plane refuses to write the registry.
pub async fn a_read_refuses_to_write_the_registry(store: Arc<dyn Store>) {
    let tenant = fixtures::tenant(&*store, "acme");
    fixtures::register(&*store, &tenant).await;
    let membership = Membership { tenant_id: tenant.id, user_id: tenant.owner_id, created_at: instant() };
    let read = async || -> Box<dyn ControlTransaction> {
        store.read_control(&ControlContext::system("test")).await.unwrap()
    };
    failure(read().await.tenants().insert(&fixtures::tenant(&*store, "globex")).await);
    failure(change_status(&*store, &mut *read().await, &tenant, TenantStatus::Active, after(1)).await);
    failure(read().await.tenants().withdraw(tenant.id).await);
    failure(read().await.memberships().insert(&membership).await);
    failure(read().await.memberships().remove(tenant.id, tenant.owner_id).await);
    let mut unit = read().await;
    assert_eq!(unit.tenants().find(&tenant.id.into()).await.unwrap(), Some(tenant));
}

/// A read-only unit sees one snapshot: what it has begun to read does not change under it.
pub async fn a_read_sees_one_snapshot(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (ada, bob) = (user("ada@example.com"), user("bob@example.com"));
        plane.add_user(&store, &ada).await;
        let mut reading = plane.read(&store).await.unwrap();
        assert_eq!(reading.users().find(ada.id).await.unwrap().as_ref(), Some(&ada));

        let mut unit = plane.begin(&store).await.unwrap();
        unit.users().insert(&bob, None).await.unwrap();
        unit.users().record_login(ada.id, after(1)).await.unwrap();
        unit.publish(TestEvent::new("a", 1)).await.unwrap();
        unit.commit().await.unwrap();

        assert_eq!(reading.users().find(bob.id).await.unwrap(), None);
        assert_eq!(reading.users().find(ada.id).await.unwrap().as_ref(), Some(&ada));
        assert_eq!(reading.outbox().pending().await.unwrap(), 0);
        drop(reading);
        let mut reading = plane.read(&store).await.unwrap();
        assert_eq!(reading.users().find(bob.id).await.unwrap(), Some(bob), "a new one sees what is new");
    }
}

/// A read-only unit does not wait for one that writes, and sees nothing of it.
pub async fn a_read_does_not_wait_for_a_writer(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let ada = user("ada@example.com");
        let mut writing = plane.begin(&store).await.unwrap();
        writing.users().insert(&ada, None).await.unwrap();
        let seen: Result<Option<User>> = crate::within_limit("reading beside a writer", async {
            let mut unit = plane.read(&store).await?;
            unit.users().find(ada.id).await
        })
        .await;
        assert_eq!(seen.unwrap(), None);
        writing.commit().await.unwrap();
    }
}
