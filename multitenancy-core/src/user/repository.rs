use async_trait::async_trait;

use super::{Email, User};
use crate::{
    auth::PasswordHash,
    environment::Timestamp,
    error::{Error, Result, code},
    id::UserId,
};

/// The users of one plane.
#[async_trait]
pub trait UserRepository: Send {
    /// Adds a user, with or without a password.
    ///
    /// 1. An address that is taken on this plane, in any spelling, is
    ///    [`Conflict`](crate::ErrorKind::Conflict) `email_taken`.
    /// 2. The same address on another plane does not matter.
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<()>;

    /// Finds a user.
    ///
    /// 1. `None` when there is none on this plane, as for a user of another plane.
    async fn find(&mut self, id: UserId) -> Result<Option<User>>;

    /// Finds the user with this address, in any spelling.
    ///
    /// 1. `None` when there is none on this plane.
    async fn find_by_email(&mut self, email: &Email) -> Result<Option<User>>;

    /// Finds the user that a platform user enters as.
    ///
    /// 1. `None` when there is none.
    async fn find_by_platform_user(&mut self, platform_user: UserId) -> Result<Option<User>>;

    /// Finds a user and keeps everyone else from changing it until this unit ends.
    ///
    /// 1. `None` when there is none.
    async fn find_for_update(&mut self, id: UserId) -> Result<Option<User>>;

    /// Stores the user as it is now, all but its id, address and date of creation, which do not change here.
    ///
    /// 1. `false`, and nothing happens, when there is no such user on this plane.
    async fn update(&mut self, user: &User) -> Result<bool>;

    /// The stored hash of a user's password.
    ///
    /// 1. `None` when there is no such user on this plane, or none with a password.
    async fn password_hash(&mut self, id: UserId) -> Result<Option<PasswordHash>>;

    /// Replaces the hash of a user's password.
    ///
    /// 1. `false`, and nothing happens, when there is no such user on this plane.
    async fn set_password_hash(&mut self, id: UserId, password: &PasswordHash) -> Result<bool>;

    /// Records a sign-in.
    ///
    /// 1. Sets `last_login_at` and nothing else.
    /// 2. `false`, and nothing happens, when there is no such user on this plane.
    async fn record_login(&mut self, id: UserId, at: Timestamp) -> Result<bool>;
}

/// The error for an address that another user of the plane has: 409 `email_taken`.
pub fn email_taken() -> Error {
    Error::of(code::EMAIL_TAKEN)
}
