use serde::Serialize;

use crate::{
    event::{Aggregate, Event},
    id::{SessionId, UserId},
};

/// `user.created`.
#[derive(Debug, Clone, Serialize)]
pub struct UserCreated {
    /// The user.
    pub user_id: UserId,
    /// The platform user who enters as this user, when it was made for one.
    pub platform_user_id: Option<UserId>,
}

/// `user.updated`: the profile changed.
#[derive(Debug, Clone, Serialize)]
pub struct UserUpdated {
    /// The user.
    pub user_id: UserId,
    /// The names of the fields that changed; not their values.
    pub changed: Vec<&'static str>,
}

/// `user.logged_in`.
#[derive(Debug, Clone, Serialize)]
pub struct UserLoggedIn {
    /// The user.
    pub user_id: UserId,
    /// The session it began.
    pub session_id: SessionId,
}

macro_rules! user_events {
    ($($type:ty = $name:literal)*) => {$(
        impl Event for $type {
            const TYPE: &'static str = $name;
            const VERSION: u32 = 1;

            fn aggregate(&self) -> Aggregate {
                Aggregate::new("user", self.user_id)
            }
        }
    )*};
}

user_events! {
    UserCreated = "user.created"
    UserUpdated = "user.updated"
    UserLoggedIn = "user.logged_in"
}
