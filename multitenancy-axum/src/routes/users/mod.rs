//! Users and their profiles.

pub(super) mod read_me;
pub(super) mod update_me;

use multitenancy_core::{Role, Timestamp, User, UserId};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserBody {
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    email: String,
    #[schema(required)]
    username: Option<String>,
    #[schema(required)]
    full_name: Option<String>,
    #[schema(required)]
    first_name: Option<String>,
    #[schema(required)]
    last_name: Option<String>,
    #[schema(required)]
    display_name: Option<String>,
    #[schema(required)]
    phone: Option<String>,
    #[schema(required)]
    avatar_url: Option<String>,
    /// Free-form data of the application.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// The roles of the user.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// Whether the user owns the organization.
    is_owner: bool,
    /// Whether the user may sign in.
    is_active: bool,
    /// Whether the address is verified.
    email_verified: bool,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    last_login_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        let profile = user.profile;
        Self {
            id: user.id,
            email: user.email.as_str().to_owned(),
            username: profile.username,
            full_name: profile.full_name,
            first_name: profile.first_name,
            last_name: profile.last_name,
            display_name: profile.display_name,
            phone: profile.phone,
            avatar_url: profile.avatar_url,
            metadata: profile.metadata,
            roles: user.roles,
            is_owner: user.is_owner,
            is_active: user.is_active,
            email_verified: user.email_verified,
            last_login_at: user.last_login_at,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}
