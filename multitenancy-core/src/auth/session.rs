use async_trait::async_trait;

use crate::{
    environment::Timestamp,
    error::Result,
    id::{SessionId, UserId},
    secret::TokenDigest,
};

/// A sign-in that goes on: what a refresh token continues and a logout ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Immutable; the `sid` of its access tokens.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last continued.
    pub last_used_at: Timestamp,
    /// When it ends, used or not.
    pub expires_at: Timestamp,
    /// When it was ended before that.
    pub revoked_at: Option<Timestamp>,
    /// Where it began.
    pub client: Client,
}

impl Session {
    /// Whether the session goes on at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Where a request comes from, as far as it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The peer's address.
    pub ip: Option<String>,
    /// The `User-Agent`, cut to 200 characters, without control characters.
    pub user_agent: Option<String>,
}

/// The sessions of one plane, and the digests of the refresh tokens that continue them.
#[async_trait]
pub trait SessionRepository: Send {
    /// Begins a session that the token with this digest continues.
    async fn insert(&mut self, session: &Session, refresh: &TokenDigest) -> Result<()>;

    /// Finds a session, live or not.
    ///
    /// 1. `None` when there is none on this plane.
    async fn find(&mut self, id: SessionId) -> Result<Option<Session>>;

    /// Exchanges a refresh token for its successor, and returns the session with `last_used_at` at `now`.
    ///
    /// 1. One compare-and-set: however many callers present `spent` at once, one of them succeeds (S62).
    /// 2. `None`, and nothing happens, when no live session on this plane is continued by `spent`: unknown, spent
    ///    before, revoked or expired at `now`.
    async fn rotate(
        &mut self,
        spent: &TokenDigest,
        successor: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<Session>>;

    /// Ends a session.
    ///
    /// 1. Its refresh token continues nothing any more.
    /// 2. `false`, and nothing happens, when it has ended before or is not there.
    async fn revoke(&mut self, id: SessionId, at: Timestamp) -> Result<bool>;
}
