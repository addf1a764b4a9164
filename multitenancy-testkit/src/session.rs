//! The clauses of [`SessionRepository`](multitenancy_core::auth::SessionRepository), each on both planes.

use std::sync::Arc;

use multitenancy_core::{
    Context, Store, UserId,
    auth::{Client, Session},
    secret::TokenDigest,
};
use tokio::task::JoinSet;

use crate::{
    ContextExt,
    fixtures::{self, after, instant, moment, refresh_digest, session, user},
    planes, retrying, rounds, within_limit,
};

/// Everything of a session comes back as it was stored, to the microsecond, and so does nothing at all.
pub async fn insert_keeps_every_field(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let owner = add_owner(&store, &plane).await;
        let known = Session {
            last_used_at: after(1) + moment(),
            revoked_at: Some(after(2) + moment()),
            client: Client {
                ip: Some("2001:db8::1".into()),
                user_agent: Some("Mozilla/5.0 (Ω; 日本) 'quote\"".into()),
            },
            ..session(owner)
        };
        let stored = [known, session(owner)];
        let mut unit = plane.begin(&store).await.unwrap();
        for session in &stored {
            unit.sessions().insert(session, &refresh_digest()).await.unwrap();
        }
        unit.commit().await.unwrap();
        let mut unit = plane.read(&store).await.unwrap();
        for session in stored {
            assert_eq!(unit.sessions().find(session.id).await.unwrap(), Some(session));
        }
    }
}

/// `find` 1: `None` when there is no such session.
pub async fn find_1_is_none_for_no_session(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        begin_session(&store, &plane).await;
        let mut unit = plane.read(&store).await.unwrap();
        let stranger = session(user("nobody@example.com").id);
        assert_eq!(unit.sessions().find(stranger.id).await.unwrap(), None);
    }
}

/// `rotate` exchanges the token for its successor, and returns the session with `last_used_at` at `now`.
pub async fn rotate_exchanges_the_token(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (begun, first) = begin_session(&store, &plane).await;
        let (other, _) = begin_session(&store, &plane).await;
        let (second, third) = (refresh_digest(), refresh_digest());
        for (spent, successor, now) in [(first, second, after(60)), (second, third, after(120) + moment())] {
            let mut unit = plane.begin(&store).await.unwrap();
            let rotated = unit.sessions().rotate(&spent, &successor, now).await.unwrap();
            unit.commit().await.unwrap();
            let expected = Session { last_used_at: now, ..begun.clone() };
            assert_eq!(rotated.as_ref(), Some(&expected));
            let mut unit = plane.read(&store).await.unwrap();
            assert_eq!(unit.sessions().find(begun.id).await.unwrap(), Some(expected));
            assert_eq!(unit.sessions().find(other.id).await.unwrap().as_ref(), Some(&other));
        }
    }
}

/// `rotate` 1: however many callers present a token at once, one of them succeeds (S62).
pub async fn rotate_1_lets_one_of_many_at_once_succeed(store: Arc<dyn Store>) {
    const CALLERS: usize = 64;
    let planes = planes(&store).await;
    for round in 0..rounds(5) {
        let plane = &planes[round % planes.len()];
        let (begun, spent) = begin_session(&store, plane).await;
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS {
            let (store, plane, successor) = (store.clone(), plane.clone(), refresh_digest());
            tasks.spawn(async move {
                let rotate = || async {
                    let mut unit = plane.begin(&store).await?;
                    let rotated = unit.sessions().rotate(&spent, &successor, after(60)).await?;
                    unit.commit().await?;
                    Ok(rotated.map(|session| (session.id, successor)))
                };
                retrying(rotate).await.unwrap()
            });
        }
        let outcomes = within_limit("rotating", tasks.join_all()).await;
        let won: Vec<_> = outcomes.into_iter().flatten().collect();
        let [(id, successor)] = won[..] else {
            panic!("{} of {CALLERS} callers got a successor of one token", won.len());
        };
        assert_eq!(id, begun.id);
        assert!(rotate(&store, plane, &successor, after(61)).await.is_some(), "the one successor is good");
    }
}

/// `rotate` 2: `None`, and nothing happens, for a token that is unknown or was spent before.
pub async fn rotate_2_is_none_for_a_spent_token(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (begun, first) = begin_session(&store, &plane).await;
        let second = refresh_digest();
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.sessions().rotate(&first, &second, after(60)).await.unwrap().is_some());
        assert_eq!(
            unit.sessions().rotate(&first, &refresh_digest(), after(61)).await.unwrap(),
            None,
            "spent in this unit"
        );
        unit.commit().await.unwrap();
        assert_eq!(rotate(&store, &plane, &first, after(62)).await, None, "spent before");
        assert_eq!(rotate(&store, &plane, &refresh_digest(), after(62)).await, None, "unknown");
        let mut unit = plane.read(&store).await.unwrap();
        let found = unit.sessions().find(begun.id).await.unwrap().expect("still there");
        assert_eq!(found.last_used_at, after(60), "nothing happens");
        drop(unit);
        assert!(rotate(&store, &plane, &second, after(63)).await.is_some(), "the successor stays good");
    }
}

/// `rotate` 2: `None`, and nothing happens, for a session that was revoked.
pub async fn rotate_2_is_none_for_a_revoked_session(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (begun, token) = begin_session(&store, &plane).await;
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.sessions().revoke(begun.id, after(1)).await.unwrap());
        assert_eq!(unit.sessions().rotate(&token, &refresh_digest(), after(2)).await.unwrap(), None);
        unit.commit().await.unwrap();
        assert_eq!(rotate(&store, &plane, &token, after(2)).await, None);
        let mut unit = plane.read(&store).await.unwrap();
        let found = unit.sessions().find(begun.id).await.unwrap().expect("still there");
        assert_eq!(found.last_used_at, instant());
    }
}

/// `rotate` 2: `None`, and nothing happens, for a session that has expired at `now`: from that instant on, not
/// before.
pub async fn rotate_2_is_none_for_an_expired_session(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (begun, token) = begin_session(&store, &plane).await;
        for now in [begun.expires_at, begun.expires_at + moment(), after(1_000_000)] {
            assert_eq!(rotate(&store, &plane, &token, now).await, None, "{now}");
        }
        let last = begun.expires_at - moment();
        assert!(rotate(&store, &plane, &token, last).await.is_some(), "good until {last}");
    }
}

/// `revoke` 1: the session's refresh token continues nothing any more, and the session tells when it ended.
pub async fn revoke_1_ends_the_refresh_token(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (begun, token) = begin_session(&store, &plane).await;
        let (other, other_token) = begin_session(&store, &plane).await;
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.sessions().revoke(begun.id, after(5) + moment()).await.unwrap());
        unit.commit().await.unwrap();
        let mut unit = plane.read(&store).await.unwrap();
        let expected = Session { revoked_at: Some(after(5) + moment()), ..begun };
        assert_eq!(unit.sessions().find(expected.id).await.unwrap(), Some(expected));
        assert_eq!(unit.sessions().find(other.id).await.unwrap(), Some(other));
        drop(unit);
        assert_eq!(rotate(&store, &plane, &token, after(6)).await, None);
        assert!(rotate(&store, &plane, &other_token, after(6)).await.is_some(), "another session goes on");
    }
}

/// `revoke` 2: `false`, and nothing happens, when the session has ended before or is not there.
pub async fn revoke_2_is_false_when_there_is_nothing_to_end(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let (begun, _) = begin_session(&store, &plane).await;
        let (expired, _) = begin_session(&store, &plane).await;
        let mut unit = plane.begin(&store).await.unwrap();
        assert!(unit.sessions().revoke(begun.id, after(1)).await.unwrap());
        assert!(!unit.sessions().revoke(begun.id, after(2)).await.unwrap(), "ended before");
        assert!(!unit.sessions().revoke(expired.id, expired.expires_at).await.unwrap(), "expired");
        let stranger = session(begun.user_id).id;
        assert!(!unit.sessions().revoke(stranger, after(1)).await.unwrap(), "not there");
        unit.commit().await.unwrap();
        let mut unit = plane.read(&store).await.unwrap();
        let found = unit.sessions().find(begun.id).await.unwrap().expect("still there");
        assert_eq!(found.revoked_at, Some(after(1)), "the first end counts");
        assert_eq!(unit.sessions().find(expired.id).await.unwrap(), Some(expired));
    }
}

/// Begins a session of a new user, in a unit of its own.
pub(crate) async fn begin_session(store: &Arc<dyn Store>, plane: &Context) -> (Session, TokenDigest) {
    let owner = add_owner(store, plane).await;
    let (session, token) = (session(owner), refresh_digest());
    let mut unit = plane.begin(store).await.unwrap();
    unit.sessions().insert(&session, &token).await.unwrap();
    unit.commit().await.unwrap();
    (session, token)
}

async fn add_owner(store: &Arc<dyn Store>, plane: &Context) -> UserId {
    let owner = user(&format!("{}@example.com", fixtures::lease()));
    plane.add_user(store, &owner).await;
    owner.id
}

async fn rotate(
    store: &Arc<dyn Store>,
    plane: &Context,
    spent: &TokenDigest,
    now: multitenancy_core::Timestamp,
) -> Option<Session> {
    let mut unit = plane.begin(store).await.unwrap();
    let rotated = unit.sessions().rotate(spent, &refresh_digest(), now).await.unwrap();
    unit.commit().await.unwrap();
    rotated
}
