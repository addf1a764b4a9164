use serde::Serialize;

use crate::{
    event::{Aggregate, Event},
    id::{SessionId, UserId},
};

/// `session.created`.
#[derive(Debug, Clone, Serialize)]
pub struct SessionCreated {
    /// The session.
    pub session_id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
}

/// `session.revoked`: ended before its time.
#[derive(Debug, Clone, Serialize)]
pub struct SessionRevoked {
    /// The session.
    pub session_id: SessionId,
    /// Whose it was.
    pub user_id: UserId,
}

impl Event for SessionCreated {
    const TYPE: &'static str = "session.created";
    const VERSION: u32 = 1;

    fn aggregate(&self) -> Aggregate {
        Aggregate::new("session", self.session_id)
    }
}

impl Event for SessionRevoked {
    const TYPE: &'static str = "session.revoked";
    const VERSION: u32 = 1;

    fn aggregate(&self) -> Aggregate {
        Aggregate::new("session", self.session_id)
    }
}
