use std::ops::Deref;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use multitenancy_core::{Context, Tenancy};

use crate::{facts, problem::Problem, request_scope::RequestScope};

/// The context of a request without a credential: the tenant that the request names, or else the platform.
///
/// It ignores `Authorization`: a client that logs in again may still send its old token.
///
/// 404 `tenant_not_found`; 403 `tenant_inactive`, and `tenant_mismatch` when the parts of the request disagree.
#[derive(Debug, Clone)]
pub struct CurrentContext(Context);

impl Deref for CurrentContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

impl<S> FromRequestParts<S> for CurrentContext
where
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let tenancy = Tenancy::from_ref(state);
        let facts = facts::read(parts, tenancy.resolution())?;
        let context = tenancy.access().context(&facts).await?;
        RequestScope::record(parts, context.plane(), None);
        Ok(Self(context))
    }
}
