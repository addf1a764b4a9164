//! People who sign in: on the platform or inside one tenant, in the same shape.

mod email;
mod events;
mod profile;
mod repository;
mod role;

pub use self::{
    email::Email,
    events::{UserCreated, UserLoggedIn, UserUpdated},
    profile::{Profile, ProfileUpdate},
    repository::{UserRepository, email_taken},
    role::Role,
};
use crate::{environment::Timestamp, id::UserId};

/// Somebody who can sign in: of the platform, or of one tenant, depending on the plane it was read from.
///
/// It never holds a password, not even a hashed one; see [`UserRepository::password_hash`].
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Immutable.
    pub id: UserId,
    /// The address to sign in with; unique within the plane.
    pub email: Email,
    /// What the user may say about themselves.
    pub profile: Profile,
    /// What the user may do.
    pub roles: Vec<Role>,
    /// Whether the user owns the tenant.
    pub is_owner: bool,
    /// Whether the user may sign in.
    pub is_active: bool,
    /// Whether the address is proven.
    pub email_verified: bool,
    /// The platform user who enters as this user by switching, if any.
    pub platform_user_id: Option<UserId>,
    /// The last sign-in.
    pub last_login_at: Option<Timestamp>,
    /// When the user was added.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
}

impl User {
    /// A new, active user with an unproven address.
    pub fn new(id: UserId, email: Email, roles: Vec<Role>, at: Timestamp) -> Self {
        Self {
            id,
            email,
            profile: Profile::default(),
            roles,
            is_owner: false,
            is_active: true,
            email_verified: false,
            platform_user_id: None,
            last_login_at: None,
            created_at: at,
            updated_at: at,
        }
    }
}
