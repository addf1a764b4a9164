use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::{
    audit::AuditRecord,
    auth::{PasswordHash, Session},
    environment::Timestamp,
    event::{Envelope, LeaseId},
    id::{AuditId, EventId, SessionId, UserId},
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
    /// Shared: a unit of work copies its plane, and the log only grows.
    pub audit: BTreeMap<AuditId, Arc<AuditRecord>>,
    pub consumed: Consumed,
}

/// What was consumed, in parts that units share until one changes: a unit of work copies its plane, and these only grow.
#[derive(Clone)]
pub(super) struct Consumed(Vec<Arc<HashSet<(String, EventId)>>>);

impl Consumed {
    const PARTS: usize = 256;

    pub fn insert(&mut self, consumer: &str, event: EventId) -> bool {
        Arc::make_mut(&mut self.0[Self::part(event)]).insert((consumer.to_owned(), event))
    }

    pub fn contains(&self, consumer: &str, event: EventId) -> bool {
        self.0[Self::part(event)].contains(&(consumer.to_owned(), event))
    }

    fn part(event: EventId) -> usize {
        usize::from(event.as_uuid().as_bytes()[15]) % Self::PARTS
    }
}

impl Default for Consumed {
    fn default() -> Self {
        Self(vec![Arc::default(); Self::PARTS])
    }
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
