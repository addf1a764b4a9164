use async_trait::async_trait;

use super::{
    plane::UserRow,
    unit::{HasPlane, MemoryUnit},
};
use crate::{
    auth::PasswordHash,
    environment::Timestamp,
    error::Result,
    id::UserId,
    user::{Email, User, UserRepository, email_taken},
};

impl<D: HasPlane> MemoryUnit<D> {
    fn user_where(&self, matches: impl Fn(&User) -> bool) -> Option<User> {
        self.working.plane().users.values().map(|row| &row.user).find(|user| matches(user)).cloned()
    }

    /// Changes a user's row; `false` when there is none.
    fn change(&mut self, id: UserId, change: impl FnOnce(&mut UserRow)) -> Result<bool> {
        let row = self.writable()?.plane_mut().users.get_mut(&id);
        Ok(row.map(change).is_some())
    }
}

#[async_trait]
impl<D: HasPlane> UserRepository for MemoryUnit<D> {
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<()> {
        let users = &mut self.writable()?.plane_mut().users;
        if users.values().any(|row| row.user.email == user.email) {
            return Err(email_taken());
        }
        users.insert(user.id, UserRow { user: user.clone(), password: password.cloned() });
        Ok(())
    }

    async fn find(&mut self, id: UserId) -> Result<Option<User>> {
        Ok(self.user_where(|user| user.id == id))
    }

    async fn find_by_email(&mut self, email: &Email) -> Result<Option<User>> {
        Ok(self.user_where(|user| user.email == *email))
    }

    async fn find_by_platform_user(&mut self, platform_user: UserId) -> Result<Option<User>> {
        Ok(self.user_where(|user| user.platform_user_id == Some(platform_user)))
    }

    async fn find_for_update(&mut self, id: UserId) -> Result<Option<User>> {
        self.writable()?;
        Ok(self.user_where(|user| user.id == id))
    }

    async fn update(&mut self, user: &User) -> Result<bool> {
        self.change(user.id, |row| {
            let (email, created_at) = (row.user.email.clone(), row.user.created_at);
            row.user = User { email, created_at, ..user.clone() };
        })
    }

    async fn password_hash(&mut self, id: UserId) -> Result<Option<PasswordHash>> {
        Ok(self.working.plane().users.get(&id).and_then(|row| row.password.clone()))
    }

    async fn set_password_hash(&mut self, id: UserId, password: &PasswordHash) -> Result<bool> {
        self.change(id, |row| row.password = Some(password.clone()))
    }

    async fn record_login(&mut self, id: UserId, at: Timestamp) -> Result<bool> {
        self.change(id, |row| row.user.last_login_at = Some(at))
    }
}
