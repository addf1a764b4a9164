use std::sync::Arc;

use super::Context;
use crate::{
    error::{Error, Result, code},
    id::{SessionId, UserId},
    tenant::{ControlContext, TenantContext},
    user::Role,
};

/// Somebody who has signed in, as of this request: the token is good, the session goes on, the user is active, and
/// so is the tenant.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) context: Context,
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) roles: Arc<[Role]>,
}

impl Caller {
    /// Where they have signed in.
    pub fn context(&self) -> &Context {
        &self.context
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
        match &self.context {
            Context::Tenant(context) => Ok(context),
            Context::Control(_) => {
                Err(wrong_scope("this needs a token of an organization: POST /auth/switch"))
            }
        }
    }

    /// The context of the control plane; 403 `wrong_scope` for a user of a tenant.
    pub fn control_context(&self) -> Result<&ControlContext> {
        match &self.context {
            Context::Control(context) => Ok(context),
            Context::Tenant(_) => Err(wrong_scope("this needs a token of the platform")),
        }
    }
}

fn wrong_scope(message: &str) -> Error {
    Error::of(code::WRONG_SCOPE).with_message(message)
}
