use std::collections::{BTreeMap, HashSet};

use crate::{
    auth::{PasswordHash, Session},
    environment::Timestamp,
    event::{Envelope, LeaseId},
    id::{EventId, SessionId, UserId},
    secret::TokenDigest,
    user::User,
};

/// The rows of one plane.
#[derive(Clone, Default)]
pub(super) struct PlaneData {
    pub users: BTreeMap<UserId, UserRow>,
    pub sessions: BTreeMap<SessionId, SessionRow>,
    pub outbox: BTreeMap<i64, OutboxRow>,
    pub last_sequence: i64,
    pub consumed: HashSet<(String, EventId)>,
}

#[derive(Clone)]
pub(super) struct UserRow {
    pub user: User,
    pub password: Option<PasswordHash>,
}

#[derive(Clone)]
pub(super) struct SessionRow {
    pub session: Session,
    pub refresh: TokenDigest,
}

#[derive(Clone)]
pub(super) struct OutboxRow {
    pub envelope: Envelope,
    pub attempts: u32,
    pub not_before: Option<Timestamp>,
    pub lease: Option<(LeaseId, Timestamp)>,
    pub parked: bool,
}

impl OutboxRow {
    /// When it may be due, as far as it alone decides; `None`: at once.
    pub fn free_at(&self) -> Option<Timestamp> {
        self.not_before.max(self.lease.map(|(_, until)| until))
    }
}
