//! The clauses of [`MembershipRepository`](multitenancy_core::tenant::MembershipRepository).

use std::sync::Arc;

use multitenancy_core::{
    ControlContext, ControlTransaction, Store, TenantId, UserId, page::PageRequest, tenant::Membership,
};

use crate::fixtures::{after, instant, moment, register, tenant, user};

/// A membership comes back as it was stored.
pub async fn insert_keeps_every_field(store: Arc<dyn Store>) {
    let membership = new(&store, "acme").await;
    let mut unit = control(&store).await;
    unit.memberships().insert(&membership).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(find(&store, &membership).await, Some(membership));
}

/// `insert` 1: recording one that is there succeeds and keeps the old one.
pub async fn insert_1_keeps_the_old_one(store: Arc<dyn Store>) {
    let old = new(&store, "acme").await;
    let again = Membership { created_at: after(99), ..old.clone() };
    let mut unit = control(&store).await;
    unit.memberships().insert(&old).await.unwrap();
    unit.memberships().insert(&again).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = control(&store).await;
    unit.memberships().insert(&again).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(find(&store, &old).await, Some(old));
}

/// `find` 1: `None` when there is none: of this user in this tenant.
pub async fn find_1_is_none_for_none(store: Arc<dyn Store>) {
    let (one, other) = (new(&store, "acme").await, new(&store, "globex").await);
    let mut unit = control(&store).await;
    unit.memberships().insert(&one).await.unwrap();
    unit.memberships().insert(&other).await.unwrap();
    unit.commit().await.unwrap();
    let crossed = Membership { user_id: other.user_id, ..one.clone() };
    assert_eq!(find(&store, &crossed).await, None);
    assert_eq!(find(&store, &one).await, Some(one));
}

/// `remove` 1: ending one that is not there succeeds; ending one ends that one alone.
pub async fn remove_1_of_none_succeeds(store: Arc<dyn Store>) {
    let (one, other) = (new(&store, "acme").await, new(&store, "globex").await);
    let both = Membership { tenant_id: other.tenant_id, ..one.clone() };
    let mut unit = control(&store).await;
    unit.memberships().remove(one.tenant_id, one.user_id).await.unwrap();
    for membership in [&one, &other, &both] {
        unit.memberships().insert(membership).await.unwrap();
    }
    unit.commit().await.unwrap();
    for _ in 0..2 {
        let mut unit = control(&store).await;
        unit.memberships().remove(one.tenant_id, one.user_id).await.unwrap();
        unit.commit().await.unwrap();
    }
    assert_eq!(find(&store, &one).await, None);
    assert_eq!(find(&store, &other).await, Some(other));
    assert_eq!(find(&store, &both).await, Some(both));
}

/// `list` gives a user's tenants, and no other's, in the order of their ids, page by page.
pub async fn list_gives_a_users_tenants_by_id(store: Arc<dyn Store>) {
    const COUNT: usize = 25;
    let (user_id, stranger) = (user("ada@example.com").id, user("bob@example.com").id);
    let mut unit = control(&store).await;
    let mut expected = Vec::new();
    for index in 0..COUNT {
        let tenant = tenant(&*store, &format!("tenant-{index}"));
        unit.tenants().insert(&tenant).await.unwrap();
        unit.memberships().insert(&membership(tenant.id, user_id)).await.unwrap();
        if index % 2 == 0 {
            unit.memberships().insert(&membership(tenant.id, stranger)).await.unwrap();
        }
        expected.push(tenant.id);
    }
    unit.commit().await.unwrap();
    expected.sort_unstable();
    for size in [1, 7, 25, 100] {
        assert_eq!(list_all(&store, user_id, size).await, expected, "pages of {size}");
    }
    assert_eq!(list_all(&store, stranger, 10).await.len(), COUNT.div_ceil(2));
    assert_eq!(list_all(&store, user("eve@example.com").id, 10).await, []);
}

async fn list_all(store: &Arc<dyn Store>, user: UserId, size: u32) -> Vec<TenantId> {
    let mut all = Vec::new();
    let mut page = PageRequest::first(size);
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    loop {
        let found = unit.memberships().list(user, &page).await.unwrap();
        assert!(found.items.len() <= size as usize && found.items.iter().all(|one| one.user_id == user));
        all.extend(found.items.iter().map(|membership| membership.tenant_id));
        match found.next {
            Some(key) => page = page.after(key),
            None => return all,
        }
    }
}

/// A membership of somebody in a tenant that is just registered.
async fn new(store: &Arc<dyn Store>, slug: &str) -> Membership {
    let tenant = tenant(&**store, slug);
    register(&**store, &tenant).await;
    membership(tenant.id, user("ada@example.com").id)
}

fn membership(tenant_id: TenantId, user_id: UserId) -> Membership {
    Membership { tenant_id, user_id, created_at: instant() + moment() }
}

async fn find(store: &Arc<dyn Store>, like: &Membership) -> Option<Membership> {
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    unit.memberships().find(like.tenant_id, like.user_id).await.unwrap()
}

async fn control(store: &Arc<dyn Store>) -> Box<dyn ControlTransaction> {
    store.control(&ControlContext::system("test")).await.unwrap()
}
