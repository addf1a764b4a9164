use super::Accounts;
use crate::{
    access::{Caller, live_user},
    audit::Action,
    error::{Error, Result, code},
    store::UnitOfWorkExt,
    user::{ProfileUpdate, User, UserUpdated},
};

impl Accounts {
    /// The caller's own user.
    pub async fn profile(&self, caller: &Caller) -> Result<User> {
        let mut unit = caller.context.read(self.access.store()).await?;
        unit.users().find(caller.user_id).await?.ok_or_else(gone)
    }

    /// Changes the caller's own profile, and nothing else of the user (S78); publishes `user.updated` when
    /// something really changed. 422 when a value is refused.
    pub async fn update_profile(&self, caller: &Caller, update: ProfileUpdate) -> Result<User> {
        let mut unit = caller.context.begin(self.access.store()).await?;
        // The body may have taken its time since the caller was let in.
        live_user(&mut *unit, caller.session_id, caller.user_id).await?;
        let mut user = unit.users().find_for_update(caller.user_id).await?.ok_or_else(gone)?;
        let changed = update.apply(&mut user, self.access.environment().now())?;
        if !changed.is_empty() {
            unit.users().update(&user).await?;
            let names: Vec<_> = changed.iter().map(ToString::to_string).collect();
            unit.publish(UserUpdated { user_id: user.id, changed }).await?;
            unit.record(Action::new("user.updated", "user", user.id).detail("changed", names)).await?;
            unit.commit().await?;
        }
        Ok(user)
    }
}

fn gone() -> Error {
    Error::of(code::USER_NOT_FOUND)
}
