use std::ops::Deref;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use multitenancy_core::{Realm, Tenancy};

use crate::{facts, problem::Problem, request_scope::RequestScope};

/// The realm of a request without a credential: the tenant that the request names, or else the platform.
///
/// It ignores `Authorization`: a client that logs in again may still send its old token.
///
/// 404 `tenant_not_found`; 403 `tenant_inactive`, and `tenant_mismatch` when the parts of the request disagree.
#[derive(Debug, Clone)]
pub struct CurrentRealm(Realm);

impl Deref for CurrentRealm {
    type Target = Realm;

    fn deref(&self) -> &Realm {
        &self.0
    }
}

impl<S> FromRequestParts<S> for CurrentRealm
where
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let tenancy = Tenancy::from_ref(state);
        let facts = facts::read(parts, tenancy.resolution())?;
        let realm = tenancy.realm(&facts).await?;
        RequestScope::record(parts, realm.plane(), None);
        Ok(Self(realm))
    }
}
