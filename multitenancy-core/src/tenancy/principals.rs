use std::sync::Arc;

use chrono::TimeDelta;
use moka::sync::Cache;

use super::Realm;
use crate::{
    auth::Claims,
    environment::Timestamp,
    error::{Error, ErrorKind, Result},
    id::{Plane, SessionId},
    store::Store,
    user::Role,
};

/// What a session's user may do at present, remembered for one second: so a revoked session, a removed member or
/// a changed role shows on the next request after that at the latest, on every replica (S57).
///
/// Keys are typed, plane first (S105): no two sessions of two tenants can share an entry.
pub(crate) struct Principals(Cache<(Plane, SessionId), Principal>);

#[derive(Clone)]
struct Principal {
    roles: Arc<[Role]>,
    read_at: Timestamp,
}

impl Principals {
    const MAX_AGE: TimeDelta = TimeDelta::seconds(1);

    pub fn new(capacity: u64) -> Self {
        Self(Cache::new(capacity))
    }

    /// The present roles of the user the claims speak of. 401 when the session has ended, or when the user is not
    /// there or not active any more.
    pub async fn roles(&self, claims: &Claims, realm: &Realm, store: &dyn Store) -> Result<Arc<[Role]>> {
        let now = store.environment().now();
        let key = (realm.plane(), claims.sid);
        if let Some(known) = self.0.get(&key)
            && now - known.read_at < Self::MAX_AGE
        {
            return Ok(known.roles);
        }
        let mut unit = realm.read(store).await?;
        let session = unit.sessions().find(claims.sid).await?;
        let user = unit.users().find(claims.sub).await?;
        let (Some(session), Some(user)) = (session, user) else {
            return Err(ended());
        };
        if !session.is_live(now) || session.user_id != user.id || !user.is_active {
            return Err(ended());
        }
        let roles: Arc<[Role]> = user.roles.into();
        self.0.insert(key, Principal { roles: roles.clone(), read_at: now });
        Ok(roles)
    }

    pub fn forget(&self, plane: Plane, session: SessionId) {
        self.0.invalidate(&(plane, session));
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unauthenticated, "invalid_token", "the access token is not valid (any more)")
        .with_context("fault", "session ended, or user gone or inactive")
}
