//! Somebody who has signed in is found by `Access::authenticate` and by nothing else.

use std::sync::Arc;

use multitenancy_core::{Caller, Context, Role, actor::Origin};

fn promoted(mut caller: Caller) {
    caller.roles = Arc::new([Role::SUPER_ADMIN]);
}

fn context(origin: Origin) -> Context {
    Context::resolved(None, origin)
}

fn main() {}
