use std::{ops::Deref, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use multitenancy_core::{
    Caller, Error, Permission, Result, Tenancy, access::RequestFacts, error::code, tenant::ControlContext,
};

use crate::{
    facts,
    problem::Problem,
    request_scope::{RequestScope, request_id},
};

/// A signed-in user, of the platform or of a tenant.
///
/// 401 `unauthenticated` without a token, `invalid_token` with one that is not valid, or no longer.
#[derive(Debug, Clone)]
pub struct Authenticated(pub(super) Arc<Caller>);

impl Authenticated {
    /// Refuses a caller without the permission `P` in their realm: 403 `permission_denied`.
    pub fn require<P: Permission>(&self, tenancy: &Tenancy) -> Result<()> {
        tenancy.grants().require::<P>(self.0.roles())
    }
}

impl Deref for Authenticated {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl<S> FromRequestParts<S> for Authenticated
where
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = caller(parts, &Tenancy::from_ref(state)).await?;
        caller.map(Self).ok_or_else(|| unauthenticated().into())
    }
}

/// A signed-in user of the platform, and the context that `Store::control` takes.
///
/// 401 as [`Authenticated`]; 403 `wrong_scope` for a user of a tenant.
#[derive(Debug, Clone)]
pub struct PlatformUser {
    caller: Arc<Caller>,
    context: ControlContext,
}

impl PlatformUser {
    /// The user, their session and their roles.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl Deref for PlatformUser {
    type Target = ControlContext;

    fn deref(&self) -> &ControlContext {
        &self.context
    }
}

impl<S> FromRequestParts<S> for PlatformUser
where
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        let context = caller.control_context()?.clone();
        Ok(Self { caller, context })
    }
}

/// A signed-in user who switches to a tenant. The request names the tenant to switch to, so it is not compared with the
/// token.
pub(crate) struct SwitchingCaller(pub Caller);

impl<S> FromRequestParts<S> for SwitchingCaller
where
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let tenancy = Tenancy::from_ref(state);
        let token = facts::bearer_token(&parts.headers)?.ok_or_else(unauthenticated)?;
        let facts = RequestFacts { request_id: request_id(parts), ..RequestFacts::default() };
        let caller = tenancy.access().authenticate(token, &facts).await?;
        record(parts, &caller);
        Ok(Self(caller))
    }
}

/// The verified caller, for the next extractor of the same request.
#[derive(Clone)]
struct Known(Arc<Caller>);

/// The caller of a request; `None` without a token.
pub(super) async fn caller(parts: &mut Parts, tenancy: &Tenancy) -> Result<Option<Arc<Caller>>> {
    if let Some(Known(caller)) = parts.extensions.get() {
        return Ok(Some(caller.clone()));
    }
    let Some(token) = facts::bearer_token(&parts.headers)? else {
        return Ok(None);
    };
    let facts = facts::read(parts, tenancy.resolution())?;
    let caller = Arc::new(tenancy.access().authenticate(token, &facts).await?);
    record(parts, &caller);
    parts.extensions.insert(Known(caller.clone()));
    Ok(Some(caller))
}

fn record(parts: &Parts, caller: &Caller) {
    RequestScope::record(parts, caller.context().plane(), Some(caller.user_id()));
}

pub(crate) fn unauthenticated() -> Error {
    Error::of(code::UNAUTHENTICATED)
}
