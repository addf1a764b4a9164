use std::{fmt, marker::PhantomData, ops::Deref, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use multitenancy_core::{Caller, Permission, Plane, Role, Tenancy, TenantContext, UserId};

use super::{Authenticated, authenticated};
use crate::{facts, problem::Problem, request_scope::RequestScope};

/// The tenant of a request: its token's, or else the one it names. It says nothing about the caller.
///
/// 400 `tenant_required` when neither names one; 404 `tenant_not_found`; 403 `tenant_inactive`, and `tenant_mismatch`
/// when the parts of the request disagree; with a token, the errors of [`CurrentUser`].
#[derive(Debug, Clone)]
pub struct CurrentTenant(TenantContext);

impl Deref for CurrentTenant {
    type Target = TenantContext;

    fn deref(&self) -> &TenantContext {
        &self.0
    }
}

impl<S> FromRequestParts<S> for CurrentTenant
where
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let tenancy = Tenancy::from_ref(state);
        if let Some(caller) = authenticated::caller(parts, &tenancy).await? {
            return Ok(Self(caller.tenant_context()?.clone()));
        }
        let facts = facts::read(parts, tenancy.resolution())?;
        let context = tenancy.access().tenant_context(&facts).await?;
        RequestScope::record(parts, Plane::Tenant(context.tenant_id()), None);
        Ok(Self(context))
    }
}

/// A signed-in user of a tenant, and the context that `Store::begin` takes.
///
/// 401 `unauthenticated` without a token, `invalid_token` with one that is not valid, or no longer; 403 `wrong_scope` for
/// a user of the platform, `tenant_mismatch` when the request names another tenant than the token, and
/// `tenant_inactive`.
#[derive(Debug, Clone)]
pub struct CurrentUser {
    caller: Arc<Caller>,
    context: TenantContext,
}

impl CurrentUser {
    /// The user, their session and their roles.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The user's id.
    pub fn user_id(&self) -> UserId {
        self.caller.user_id()
    }

    /// The user's present roles.
    pub fn roles(&self) -> &[Role] {
        self.caller.roles()
    }
}

impl Deref for CurrentUser {
    type Target = TenantContext;

    fn deref(&self) -> &TenantContext {
        &self.context
    }
}

impl<S> FromRequestParts<S> for CurrentUser
where
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, state).await?;
        let context = caller.tenant_context()?.clone();
        Ok(Self { caller, context })
    }
}

/// A signed-in user of a tenant who has the permission `P` there. It dereferences to [`CurrentUser`], and that to
/// [`TenantContext`].
///
/// The errors of [`CurrentUser`], and 403 `permission_denied`.
///
/// ```
/// use axum::{Router, extract::State, routing::post};
/// use multitenancy_axum::{Authorized, Problem, Tenancy};
///
/// multitenancy_core::permissions! {
///     /// Create and change projects.
///     pub WriteProjects = "write_projects";
/// }
///
/// async fn create(caller: Authorized<WriteProjects>, State(tenancy): State<Tenancy>) -> Result<String, Problem> {
///     let unit = tenancy.store().begin(&caller).await?;
///     unit.commit().await?;
///     Ok(format!("made by {} in {}", caller.user_id(), caller.tenant().slug))
/// }
///
/// let router: Router<Tenancy> = Router::new().route("/projects", post(create));
/// ```
pub struct Authorized<P> {
    user: CurrentUser,
    permission: PhantomData<fn() -> P>,
}

impl<P> Deref for Authorized<P> {
    type Target = CurrentUser;

    fn deref(&self) -> &CurrentUser {
        &self.user
    }
}

impl<P> Clone for Authorized<P> {
    fn clone(&self) -> Self {
        Self { user: self.user.clone(), permission: PhantomData }
    }
}

impl<P: Permission> fmt::Debug for Authorized<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized").field("permission", &P::NAME).field("user", &self.user).finish()
    }
}

impl<P, S> FromRequestParts<S> for Authorized<P>
where
    P: Permission,
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let user = CurrentUser::from_request_parts(parts, state).await?;
        Tenancy::from_ref(state).grants().require::<P>(user.roles())?;
        Ok(Self { user, permission: PhantomData })
    }
}
