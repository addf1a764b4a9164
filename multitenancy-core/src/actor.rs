//! Who does something, and in the course of which request.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    environment::Environment,
    id::{Plane, UserId},
};

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody who has signed in.
    Anonymous,
    /// A user of the platform.
    PlatformUser {
        /// The user.
        id: UserId,
    },
    /// A user of the tenant at hand.
    TenantUser {
        /// The user.
        id: UserId,
    },
    /// The system itself.
    System {
        /// Why, such as `event relay`.
        reason: String,
    },
}

impl Actor {
    /// The user `id` of `plane`.
    pub fn user(plane: Plane, id: UserId) -> Self {
        match plane {
            Plane::Control => Self::PlatformUser { id },
            Plane::Tenant(_) => Self::TenantUser { id },
        }
    }
}

/// The identifier of a request: from `X-Request-Id` or made here. Up to 128 visible ASCII characters, so that it
/// can stand in logs and headers as it is (S113).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest accepted identifier.
    pub const MAX_LEN: usize = 128;

    /// Accepts `text`; `None` when it is empty, too long or holds anything but visible ASCII.
    pub fn parse(text: &str) -> Option<Self> {
        let fits =
            (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// A new identifier, for a request that carries none.
    pub fn generate(environment: &Environment) -> Self {
        let mut text = uuid::Uuid::encode_buffer();
        Self(Arc::from(&*environment.uuid().hyphenated().encode_lower(&mut text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({})", self.0)
    }
}

/// Who does something and in the course of which request: what events, and later the audit log, record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// In the course of which request, if any.
    pub request_id: Option<RequestId>,
}

impl Origin {
    /// The system itself, for `reason`.
    pub fn system(reason: impl Into<String>) -> Self {
        Self { actor: Actor::System { reason: reason.into() }, request_id: None }
    }

    /// Somebody who has not signed in.
    pub fn anonymous(request_id: Option<RequestId>) -> Self {
        Self { actor: Actor::Anonymous, request_id }
    }
}
