//! Somebody who has signed in is found by `Tenancy::authenticate` and by nothing else.

use std::sync::Arc;

use multitenancy_core::{Caller, Realm, Role, actor::Origin};

fn promoted(mut caller: Caller) {
    caller.roles = Arc::new([Role::SUPER_ADMIN]);
}

fn realm(origin: Origin) -> Realm {
    Realm::new(None, origin)
}

fn main() {}
