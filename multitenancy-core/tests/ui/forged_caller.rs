//! Somebody who has signed in is found by `Tenancy::authenticate` and by nothing else.

use std::sync::Arc;

use multitenancy_core::{Caller, ControlContext, Realm, Role, SessionId, UserId, actor::Origin};

fn forged(realm: Realm, user_id: UserId, session_id: SessionId) -> Caller {
    Caller { realm, user_id, session_id, roles: Arc::new([Role::OWNER]) }
}

fn promoted(mut caller: Caller) {
    caller.roles = Arc::new([Role::SUPER_ADMIN]);
}

fn realm(origin: Origin) -> Realm {
    Realm::new(None, origin)
}

fn somebody_elses(origin: Origin) -> ControlContext {
    ControlContext { origin }
}

fn main() {}
