//! The clauses of [`UserRepository`](multitenancy_core::user::UserRepository), each on both planes.

use std::sync::Arc;

use multitenancy_core::{Context, ErrorKind, Store, User, UserId};
use tokio::task::JoinSet;

use crate::{
    ContextExt, assert_fails,
    fixtures::{self, after, email, known_user, password_hash, user},
    planes, retrying, rounds, within_limit,
};

/// Everything known of a user comes back as it was stored, to the microsecond, and so does nothing at all.
pub async fn insert_keeps_every_field(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let stored = [known_user("Ada.L+x@Example.com"), user("bob@example.com")];
        for user in &stored {
            plane.add_user(&store, user).await;
        }
        let mut unit = plane.read(&store).await.unwrap();
        for user in &stored {
            let found = unit.users().find(user.id).await.unwrap().expect("just added");
            assert_eq!(found, *user);
            assert_eq!(found.email.as_str(), user.email.as_str(), "the address in its own spelling");
        }
    }
}

/// `insert` 1: an address that is taken on this plane, in any spelling, is `email_taken`.
pub async fn insert_1_refuses_a_taken_address(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.add_user(&store, &user("Ada@Example.com")).await;
        for spelling in ["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM", "ａda@example.com"] {
            let mut unit = plane.begin(&store).await.unwrap();
            let outcome = unit.users().insert(&user(spelling), None).await;
            assert_fails(outcome, ErrorKind::Conflict, "email_taken");
        }
        let mut unit = plane.begin(&store).await.unwrap();
        unit.users().insert(&user("bob@example.com"), None).await.unwrap();
        let twice = unit.users().insert(&user("Bob@example.com"), None).await;
        assert_fails(twice, ErrorKind::Conflict, "email_taken");
    }
}

/// `insert` 1: of many who want one address at once, one gets it.
pub async fn insert_1_gives_an_address_to_one_of_many_at_once(store: Arc<dyn Store>) {
    let planes = planes(&store).await;
    for round in 0..rounds(5) {
        for plane in &planes {
            let address = format!("wanted-{round}@example.com");
            let mut tasks = JoinSet::new();
            for _ in 0..16 {
                let (store, plane, user) = (store.clone(), plane.clone(), user(&address));
                tasks.spawn(async move {
                    let insert = || async {
                        let mut unit = plane.begin(&store).await?;
                        unit.users().insert(&user, None).await?;
                        tokio::task::yield_now().await;
                        unit.commit().await?;
                        Ok(user.id)
                    };
                    retrying(insert).await
                });
            }
            let outcomes = within_limit("inserting", tasks.join_all()).await;
            let (got, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
            assert_eq!(got.len(), 1, "users with one address");
            for outcome in refused {
                assert_fails(outcome, ErrorKind::Conflict, "email_taken");
            }
            let mut unit = plane.read(&store).await.unwrap();
            let found = unit.users().find_by_email(&email(&address)).await.unwrap();
            assert_eq!(found.map(|user| user.id), got.into_iter().find_map(Result::ok));
        }
    }
}

/// `insert` 2: the same address, and even the same id, on another plane does not matter.
pub async fn insert_2_does_not_mind_another_plane(store: Arc<dyn Store>) {
    let mut all = planes(&store).await.to_vec();
    all.push(Context::Tenant(fixtures::active_tenant(&*store, "globex").await));
    let same = user("ada@example.com");
    for plane in &all {
        plane.add_user(&store, &same).await;
        plane.add_user(&store, &user("bob@example.com")).await;
    }
}

/// `find` 1: `None` when there is no such user.
pub async fn find_1_is_none_for_nobody(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.add_user(&store, &user("ada@example.com")).await;
        let mut unit = plane.read(&store).await.unwrap();
        assert_eq!(unit.users().find(nobody()).await.unwrap(), None);
    }
}

/// `find_by_email` matches any spelling of one address, and no other address.
pub async fn find_by_email_matches_any_spelling(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let ada = user("Ada@Example.com");
        plane.add_user(&store, &ada).await;
        plane.add_user(&store, &user("ada@example.com.au")).await;
        let mut unit = plane.read(&store).await.unwrap();
        for spelling in ["Ada@Example.com", "ada@example.com", "ADA@example.COM", "ａｄａ@example.com"] {
            let found = unit.users().find_by_email(&email(spelling)).await.unwrap();
            assert_eq!(found.as_ref(), Some(&ada), "{spelling}");
        }
    }
}

/// `find_by_email` 1: `None` when nobody has the address. It is text, not a pattern.
pub async fn find_by_email_1_is_none_for_nobody(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        plane.add_user(&store, &user("ada@example.com")).await;
        let mut unit = plane.read(&store).await.unwrap();
        for other in
            ["bob@example.com", "ad_@example.com", "%@example.com", "a*@example.com", "ada@example.co"]
        {
            let found = unit.users().find_by_email(&email(other)).await.unwrap();
            assert_eq!(found, None, "{other}");
        }
    }
}

/// `find_by_platform_user` finds the user that a platform user enters as; 1: `None` when there is none.
pub async fn find_by_platform_user_1_is_none_for_nobody(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let platform_user = nobody();
        let entered = User { platform_user_id: Some(platform_user), ..user("ada@example.com") };
        plane.add_user(&store, &entered).await;
        plane.add_user(&store, &user("bob@example.com")).await;
        let mut unit = plane.read(&store).await.unwrap();
        let users = unit.users();
        assert_eq!(users.find_by_platform_user(platform_user).await.unwrap().as_ref(), Some(&entered));
        assert_eq!(users.find_by_platform_user(nobody()).await.unwrap(), None);
        assert_eq!(users.find_by_platform_user(entered.id).await.unwrap(), None, "another kind of id");
    }
}

/// `find_for_update` 1: `None` when there is no such user.
pub async fn find_for_update_1_is_none_for_nobody(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let ada = known_user("ada@example.com");
        plane.add_user(&store, &ada).await;
        let mut unit = plane.begin(&store).await.unwrap();
        assert_eq!(unit.users().find_for_update(ada.id).await.unwrap(), Some(ada));
        assert_eq!(unit.users().find_for_update(nobody()).await.unwrap(), None);
    }
}

/// `find_for_update` keeps everyone else from changing the user until the unit ends: no change is lost.
pub async fn find_for_update_loses_no_change(store: Arc<dyn Store>) {
    const WRITERS: u64 = 8;
    let each = u64::try_from(rounds(5)).unwrap_or(u64::MAX);
    for plane in planes(&store).await {
        let ada = user("ada@example.com");
        plane.add_user(&store, &ada).await;
        let mut tasks = JoinSet::new();
        for _ in 0..WRITERS {
            let (store, plane, id) = (store.clone(), plane.clone(), ada.id);
            tasks.spawn(async move {
                for _ in 0..each {
                    let count = || async {
                        let mut unit = plane.begin(&store).await?;
                        let mut user = unit.users().find_for_update(id).await?.expect("still there");
                        tokio::task::yield_now().await;
                        let count = user.profile.metadata.get("count").and_then(serde_json::Value::as_u64);
                        let next = count.unwrap_or(0) + 1;
                        user.profile.metadata.insert("count".into(), next.into());
                        unit.users().update(&user).await?;
                        unit.commit().await
                    };
                    retrying(count).await.unwrap();
                }
            });
        }
        within_limit("counting", tasks.join_all()).await;
        let mut unit = plane.read(&store).await.unwrap();
        let user = unit.users().find(ada.id).await.unwrap().expect("still there");
        assert_eq!(user.profile.metadata["count"], WRITERS * each);
    }
}

/// `update` stores the user as it is now, all but its id, address and date of creation.
pub async fn update_stores_all_but_address_and_creation(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (ada, bystander) = (known_user("ada@example.com"), user("bob@example.com"));
        plane.add_user(&store, &ada).await;
        plane.add_user(&store, &bystander).await;
        for change in [user("new@example.com"), known_user("other@example.com")] {
            let changed = User { id: ada.id, created_at: after(77), ..change };
            let mut unit = plane.begin(&store).await.unwrap();
            assert!(unit.users().update(&changed).await.unwrap());
            unit.commit().await.unwrap();
            let expected = User { email: ada.email.clone(), created_at: ada.created_at, ..changed };
            let mut unit = plane.read(&store).await.unwrap();
            assert_eq!(unit.users().find(ada.id).await.unwrap(), Some(expected));
            assert_eq!(unit.users().find(bystander.id).await.unwrap().as_ref(), Some(&bystander));
        }
    }
}

/// `update` 1: `false`, and nothing happens, when there is no such user.
pub async fn update_1_is_false_for_nobody(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let stranger = user("ada@example.com");
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(!unit.users().update(&stranger).await.unwrap());
        unit.commit().await.unwrap();
        let mut unit = plane.read(&store).await.unwrap();
        assert_eq!(unit.users().find(stranger.id).await.unwrap(), None);
        assert_eq!(unit.users().find_by_email(&stranger.email).await.unwrap(), None);
    }
}

/// `password_hash` 1: `None` when there is no such user, or none with a password; else the hash as it was stored.
pub async fn password_hash_1_is_none_without_a_password(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (with, without) = (user("ada@example.com"), user("bob@example.com"));
        let mut unit = plane.begin(&store).await.unwrap();
        unit.users().insert(&with, Some(&password_hash('a'))).await.unwrap();
        unit.users().insert(&without, None).await.unwrap();
        unit.commit().await.unwrap();
        let mut unit = plane.read(&store).await.unwrap();
        let found = unit.users().password_hash(with.id).await.unwrap();
        assert_eq!(found, Some(password_hash('a')));
        assert_eq!(unit.users().password_hash(without.id).await.unwrap(), None);
        assert_eq!(unit.users().password_hash(nobody()).await.unwrap(), None);
    }
}

/// `set_password_hash` replaces the hash, of this user alone; 1: `false`, and nothing happens, for nobody.
pub async fn set_password_hash_1_is_false_for_nobody(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (ada, bob) = (user("ada@example.com"), user("bob@example.com"));
        let mut unit = plane.begin(&store).await.unwrap();
        unit.users().insert(&ada, Some(&password_hash('a'))).await.unwrap();
        unit.users().insert(&bob, None).await.unwrap();
        assert!(unit.users().set_password_hash(ada.id, &password_hash('b')).await.unwrap());
        assert!(!unit.users().set_password_hash(nobody(), &password_hash('c')).await.unwrap());
        unit.commit().await.unwrap();
        let mut unit = plane.read(&store).await.unwrap();
        assert_eq!(unit.users().password_hash(ada.id).await.unwrap(), Some(password_hash('b')));
        assert_eq!(unit.users().password_hash(bob.id).await.unwrap(), None);
        assert_eq!(unit.users().find(ada.id).await.unwrap(), Some(ada), "nothing else changes");
    }
}

/// `record_login` 1: sets `last_login_at` and nothing else.
pub async fn record_login_1_sets_the_last_login_alone(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (ada, bob) = (known_user("ada@example.com"), user("bob@example.com"));
        plane.add_user(&store, &ada).await;
        plane.add_user(&store, &bob).await;
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.users().record_login(ada.id, after(9)).await.unwrap());
        unit.commit().await.unwrap();
        let mut unit = plane.read(&store).await.unwrap();
        let expected = User { last_login_at: Some(after(9)), ..ada };
        assert_eq!(unit.users().find(expected.id).await.unwrap(), Some(expected));
        assert_eq!(unit.users().find(bob.id).await.unwrap(), Some(bob));
    }
}

/// `record_login` 2: `false`, and nothing happens, when there is no such user.
pub async fn record_login_2_is_false_for_nobody(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(!unit.users().record_login(nobody(), after(9)).await.unwrap());
    }
}

fn nobody() -> UserId {
    user("nobody@example.com").id
}
