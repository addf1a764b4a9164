use std::sync::Arc;

use crate::{
    actor::Origin,
    auth::Scope,
    error::{Error, Result, code},
    id::{Plane, SessionId, UserId},
    store::{Store, UnitOfWork},
    tenant::{ControlContext, Tenant, TenantContext},
    user::Role,
};

/// Where people sign in: the platform, or one tenant. Resolved, so it is evidence that the tenant may be used.
#[derive(Debug, Clone)]
pub enum Realm {
    /// The control plane.
    Platform(ControlContext),
    /// One tenant.
    Tenant(TenantContext),
}

impl Realm {
    pub(crate) fn new(tenant: Option<Arc<Tenant>>, origin: Origin) -> Self {
        match tenant {
            None => Self::Platform(ControlContext::resolved(origin)),
            Some(tenant) => Self::Tenant(TenantContext::resolved(tenant, origin)),
        }
    }

    /// The plane its data is on.
    pub fn plane(&self) -> Plane {
        match self {
            Self::Platform(_) => Plane::Control,
            Self::Tenant(context) => Plane::Tenant(context.tenant_id()),
        }
    }

    /// The scope of its tokens.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Platform(_) => Scope::Platform,
            Self::Tenant(_) => Scope::Tenant,
        }
    }

    /// The tenant, in one.
    pub fn tenant(&self) -> Option<&Arc<Tenant>> {
        match self {
            Self::Platform(_) => None,
            Self::Tenant(context) => Some(context.tenant()),
        }
    }

    pub(crate) async fn begin(&self, store: &dyn Store) -> Result<Box<dyn UnitOfWork>> {
        Ok(match self {
            Self::Platform(context) => store.control(context).await?,
            Self::Tenant(context) => store.begin(context).await?,
        })
    }

    pub(crate) async fn read(&self, store: &dyn Store) -> Result<Box<dyn UnitOfWork>> {
        Ok(match self {
            Self::Platform(context) => store.read_control(context).await?,
            Self::Tenant(context) => store.read(context).await?,
        })
    }
}

/// Somebody who has signed in, as of this request: the token is good, the session goes on, the user is active, and
/// so is the tenant.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) realm: Realm,
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) roles: Arc<[Role]>,
}

impl Caller {
    /// Where they have signed in.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Who it is.
    pub fn user_id(&self) -> UserId {
        self.user_id
    }

    /// In which session.
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Their roles at present.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The context of their tenant; 403 `wrong_scope` for a user of the platform.
    pub fn tenant_context(&self) -> Result<&TenantContext> {
        match &self.realm {
            Realm::Tenant(context) => Ok(context),
            Realm::Platform(_) => {
                Err(wrong_scope("this needs a token of an organization: POST /auth/switch"))
            }
        }
    }

    /// The context of the control plane; 403 `wrong_scope` for a user of a tenant.
    pub fn control_context(&self) -> Result<&ControlContext> {
        match &self.realm {
            Realm::Platform(context) => Ok(context),
            Realm::Tenant(_) => Err(wrong_scope("this needs a token of the platform")),
        }
    }
}

fn wrong_scope(message: &str) -> Error {
    Error::of(code::WRONG_SCOPE).with_message(message)
}
