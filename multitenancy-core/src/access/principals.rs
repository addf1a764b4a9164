use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use chrono::TimeDelta;
use quick_cache::sync::Cache;

use super::Context;
use crate::{
    auth::Claims,
    environment::Timestamp,
    error::{Error, Result, code},
    id::{Plane, SessionId, UserId},
    store::{Store, UnitOfWork},
    tenant::ControlContext,
    user::{Role, User},
};

/// What a session's user may do at present, remembered for one second: so a revoked session, a removed member or
/// a changed role shows on the next request after that at the latest, on every replica (S57).
///
/// Keys are typed, plane first (S105): no two sessions of two tenants can share an entry.
pub(crate) struct Principals {
    known: Cache<(Plane, SessionId), Principal>,
    /// Counts the sessions that have ended here, so that what was read before an end is not written back after it.
    ends: AtomicU64,
    writing: Mutex<()>,
}

#[derive(Clone)]
struct Principal {
    roles: Arc<[Role]>,
    read_at: Timestamp,
}

impl Principals {
    const MAX_AGE: TimeDelta = TimeDelta::seconds(1);

    pub fn new(capacity: usize) -> Self {
        Self { known: Cache::new(capacity), ends: AtomicU64::new(0), writing: Mutex::new(()) }
    }

    /// The present roles of the user the claims speak of. 401 when the session has ended, when the user is not there or
    /// not active any more, or when the platform user who enters as this one may not any more.
    pub async fn roles(
        &self,
        claims: &Claims,
        context: &Context,
        store: &Arc<dyn Store>,
        now: Timestamp,
    ) -> Result<Arc<[Role]>> {
        let key = (context.plane(), claims.sid);
        if let Some(known) = self.known.get(&key)
            && (TimeDelta::zero()..Self::MAX_AGE).contains(&(now - known.read_at))
        {
            return Ok(known.roles);
        }
        let before = self.ends.load(Ordering::Acquire);
        let mut unit = context.read(store).await?;
        let user = live_user(&mut *unit, claims.sid, claims.sub).await?;
        drop(unit);
        require_membership(&**store, context.plane(), &user).await?;
        let roles: Arc<[Role]> = user.roles.into();
        self.remember(key, Principal { roles: roles.clone(), read_at: now }, before);
        Ok(roles)
    }

    fn remember(&self, key: (Plane, SessionId), principal: Principal, before: u64) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ends.load(Ordering::Acquire) == before {
            self.known.insert(key, principal);
        }
    }

    pub fn forget(&self, plane: Plane, session: SessionId) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.ends.fetch_add(1, Ordering::AcqRel);
        self.known.remove(&(plane, session));
    }
}

/// The active user of a live session, as of this unit; 401 `invalid_token` when there is none.
pub(crate) async fn live_user(unit: &mut dyn UnitOfWork, session: SessionId, user: UserId) -> Result<User> {
    let now = unit.environment().now();
    let session = unit.sessions().find(session).await?;
    if !session.is_some_and(|session| session.user_id == user && session.is_live(now)) {
        return Err(ended());
    }
    unit.users().find(user).await?.filter(|user| user.is_active).ok_or_else(ended)
}

/// Refuses a user whom a platform user enters as, when that one has lost the membership or is not active any more:
/// 401 `invalid_token` (S57, S67).
pub(crate) async fn require_membership(store: &dyn Store, plane: Plane, user: &User) -> Result<()> {
    let (Plane::Tenant(tenant), Some(platform_user)) = (plane, user.platform_user_id) else {
        return Ok(());
    };
    let mut unit = store.read_control(&ControlContext::system("membership")).await?;
    unit.memberships().find(tenant, platform_user).await?.ok_or_else(ended)?;
    let active = unit.users().find(platform_user).await?.is_some_and(|user| user.is_active);
    if active { Ok(()) } else { Err(ended()) }
}

fn ended() -> Error {
    Error::of(code::INVALID_TOKEN).with_context("fault", "session ended, or user gone or inactive")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::id::TenantId;

    /// Planes and sessions out of few values, so that equal ids stand in different places.
    fn keys() -> impl Strategy<Value = Vec<(Option<u8>, u8)>> {
        prop::collection::vec((prop::option::of(0..4_u8), 0..4_u8), 0..40)
    }

    fn key((tenant, session): (Option<u8>, u8)) -> (Plane, SessionId) {
        let id = |value: u8| Uuid::from_u128(u128::from(value));
        let plane = tenant.map_or(Plane::Control, |tenant| Plane::Tenant(TenantId::from_uuid(id(tenant))));
        (plane, SessionId::from_uuid(id(session)))
    }

    proptest! {
        /// S105: distinct (plane, session) pairs are distinct entries, whatever ids they share, and each is forgotten
        /// alone.
        #[test]
        fn s105_distinct_keys_are_distinct_entries(keys in keys(), forgotten in keys()) {
            let principals = Principals::new(10_000);
            let mut expected = HashMap::new();
            for (index, parts) in keys.into_iter().enumerate() {
                let roles: Arc<[Role]> = Arc::new([format!("role_{index}").parse().unwrap()]);
                let before = principals.ends.load(Ordering::Acquire);
                principals.remember(key(parts), Principal { roles: roles.clone(), read_at: Timestamp::MIN_UTC }, before);
                expected.insert(parts, roles);
            }
            for parts in forgotten {
                let (plane, session) = key(parts);
                principals.forget(plane, session);
                expected.remove(&parts);
            }
            for tenant in [None, Some(0), Some(1), Some(2), Some(3)] {
                for session in 0..4 {
                    let found = principals.known.get(&key((tenant, session))).map(|principal| principal.roles);
                    prop_assert_eq!(found.as_ref(), expected.get(&(tenant, session)));
                }
            }
        }
    }
}
