use async_trait::async_trait;
use multitenancy_core::{
    Result, SessionId, Timestamp, UserId,
    auth::{Client, Session, SessionRepository},
    secret::TokenDigest,
};
use uuid::Uuid;

use super::{
    Unit,
    codec::{Stored, instant, stored},
};

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    created_at: Stored,
    last_used_at: Stored,
    expires_at: Stored,
    revoked_at: Option<Stored>,
    ip: Option<String>,
    user_agent: Option<String>,
}

impl TryFrom<Row> for Session {
    type Error = multitenancy_core::Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: SessionId::from_uuid(row.id),
            user_id: UserId::from_uuid(row.user_id),
            created_at: instant(row.created_at)?,
            last_used_at: instant(row.last_used_at)?,
            expires_at: instant(row.expires_at)?,
            revoked_at: row.revoked_at.map(instant).transpose()?,
            client: Client { ip: row.ip, user_agent: row.user_agent },
        })
    }
}

#[async_trait]
impl SessionRepository for Unit {
    async fn insert(&mut self, session: &Session, refresh: &TokenDigest) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO multitenancy_sessions (tenant_id, id, user_id, refresh_digest, created_at, last_used_at, \
             expires_at, revoked_at, ip, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(self.scope())
        .bind(session.id.as_uuid())
        .bind(session.user_id.as_uuid())
        .bind(refresh.as_bytes().to_vec())
        .bind(stored(session.created_at))
        .bind(stored(session.last_used_at))
        .bind(stored(session.expires_at))
        .bind(session.revoked_at.map(stored))
        .bind(session.client.ip.as_deref())
        .bind(session.client.user_agent.as_deref());
        self.execute(query).await
    }

    async fn find(&mut self, id: SessionId) -> Result<Option<Session>> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT id, user_id, created_at, last_used_at, expires_at, revoked_at, ip, user_agent \
             FROM multitenancy_sessions WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.scope())
        .bind(id.as_uuid());
        self.fetch_one_as(query).await
    }

    async fn rotate(
        &mut self,
        spent: &TokenDigest,
        successor: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        let query = sqlx::query_as::<_, Row>(
            "UPDATE multitenancy_sessions SET refresh_digest = $3, last_used_at = $4 \
             WHERE tenant_id = $1 AND refresh_digest = $2 AND revoked_at IS NULL AND expires_at > $4 \
             RETURNING id, user_id, created_at, last_used_at, expires_at, revoked_at, ip, user_agent",
        )
        .bind(self.scope())
        .bind(spent.as_bytes().to_vec())
        .bind(successor.as_bytes().to_vec())
        .bind(stored(now));
        self.write_one_as(query).await
    }

    async fn revoke(&mut self, id: SessionId, at: Timestamp) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE multitenancy_sessions SET revoked_at = $3 \
             WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > $3",
        )
        .bind(self.scope())
        .bind(id.as_uuid())
        .bind(stored(at));
        self.affected_one(query).await
    }
}
