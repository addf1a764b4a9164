use async_trait::async_trait;
use multitenancy_core::{
    Error, EventId, Result, TenantId, Timestamp,
    event::{Aggregate, Claim, ClaimedEvent, Envelope, LeaseId, Outbox},
};
use uuid::Uuid;

use super::{
    Arguments, Db, Unit,
    codec::{Stored, instant, stored},
    engine::{greatest, skip_locked},
    from_json, store_error, to_json,
};

#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    tenant_id: Uuid,
    event_id: Uuid,
    event_type: String,
    version: i64,
    occurred_at: Stored,
    aggregate_kind: String,
    aggregate_id: String,
    actor: String,
    correlation_id: Option<String>,
    payload: String,
    attempts: i64,
}

impl TryFrom<Row> for ClaimedEvent {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let envelope = Envelope {
            event_id: EventId::from_uuid(row.event_id),
            event_type: row.event_type,
            version: row.version.try_into().map_err(Error::internal)?,
            occurred_at: instant(row.occurred_at)?,
            tenant: (!row.tenant_id.is_nil()).then(|| TenantId::from_uuid(row.tenant_id)),
            aggregate: Aggregate { kind: row.aggregate_kind, id: row.aggregate_id },
            sequence: row.sequence,
            actor: from_json(&row.actor)?,
            correlation_id: row.correlation_id,
            payload: from_json(&row.payload)?,
        };
        Ok(Self { envelope, attempts: row.attempts.try_into().map_err(Error::internal)? })
    }
}

macro_rules! columns {
    () => {
        "sequence, tenant_id, event_id, event_type, version, occurred_at, aggregate_kind, aggregate_id, actor, \
         correlation_id, payload, attempts"
    };
}

/// The first event of each aggregate without a parked event.
macro_rules! heads {
    () => {
        "FROM multitenancy_outbox AS head WHERE tenant_id = $1 AND parked_at IS NULL AND NOT EXISTS \
         (SELECT 1 FROM multitenancy_outbox AS earlier WHERE earlier.tenant_id = head.tenant_id \
         AND earlier.aggregate_kind = head.aggregate_kind AND earlier.aggregate_id = head.aggregate_id \
         AND earlier.sequence < head.sequence AND earlier.parked_at IS NULL)"
    };
}

impl Unit {
    /// Changes the event that `lease` holds; `false` when the lease no longer holds it.
    async fn settle(
        &mut self,
        query: sqlx::query::Query<'_, Db, Arguments>,
        lease: LeaseId,
        event: EventId,
    ) -> Result<bool> {
        let query = query.bind(self.scope()).bind(event.as_uuid()).bind(lease.as_uuid());
        self.affected_one(query).await
    }
}

#[async_trait]
impl Outbox for Unit {
    async fn append(&mut self, event: &Envelope) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO multitenancy_outbox (tenant_id, event_id, event_type, version, occurred_at, aggregate_kind, \
             aggregate_id, actor, correlation_id, payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(self.scope())
        .bind(event.event_id.as_uuid())
        .bind(&event.event_type)
        .bind(i64::from(event.version))
        .bind(stored(event.occurred_at))
        .bind(&event.aggregate.kind)
        .bind(&event.aggregate.id)
        .bind(to_json(&event.actor)?)
        .bind(event.correlation_id.as_deref())
        .bind(to_json(&event.payload)?);
        self.execute(query).await?;
        self.lease.outbox_grew();
        Ok(())
    }

    async fn claim(&mut self, lease: LeaseId, now: Timestamp, until: Timestamp, limit: u32) -> Result<Claim> {
        let scope = self.scope();
        // Materialized: PostgreSQL may run a plain subquery more than once, and each run skips the rows that the
        // earlier one locked.
        let claim = sqlx::query_as::<_, Row>(concat!(
            "WITH due AS MATERIALIZED (SELECT sequence ",
            heads!(),
            " AND not_before <= $4 AND lease_until <= $4 ORDER BY sequence LIMIT $5",
            skip_locked!(),
            ") UPDATE multitenancy_outbox SET lease = $2, lease_until = $3, attempts = attempts + 1 \
             WHERE tenant_id = $1 AND sequence IN (SELECT sequence FROM due) RETURNING ",
            columns!()
        ))
        .bind(scope)
        .bind(lease.as_uuid())
        .bind(stored(until))
        .bind(stored(now))
        .bind(i64::from(limit));
        let rows = claim.fetch_all(self.writable()?).await.map_err(store_error)?;
        let mut events = rows.into_iter().map(ClaimedEvent::try_from).collect::<Result<Vec<_>>>()?;
        events.sort_by_key(|event| event.envelope.sequence);

        let due = sqlx::query_scalar::<_, Option<Stored>>(concat!(
            "SELECT MIN(",
            greatest!(),
            "(not_before, lease_until, $2)) ",
            heads!()
        ))
        .bind(scope)
        .bind(stored(now));
        let next_due = due.fetch_one(self.connection()?).await.map_err(store_error)?;
        Ok(Claim { events, next_due: next_due.map(instant).transpose()? })
    }

    async fn delivered(&mut self, lease: LeaseId, event: EventId) -> Result<bool> {
        let query = sqlx::query(
            "DELETE FROM multitenancy_outbox WHERE tenant_id = $1 AND event_id = $2 AND lease = $3",
        );
        self.settle(query, lease, event).await
    }

    async fn retry(
        &mut self,
        lease: LeaseId,
        event: EventId,
        not_before: Timestamp,
        error: &str,
    ) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE multitenancy_outbox SET lease = NULL, lease_until = $1, not_before = $1, error = $2 \
             WHERE tenant_id = $3 AND event_id = $4 AND lease = $5",
        );
        self.settle(query.bind(stored(not_before)).bind(error.to_owned()), lease, event).await
    }

    async fn park(&mut self, lease: LeaseId, event: EventId, at: Timestamp, error: &str) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE multitenancy_outbox SET lease = NULL, lease_until = $1, parked_at = $1, error = $2 \
             WHERE tenant_id = $3 AND event_id = $4 AND lease = $5",
        );
        self.settle(query.bind(stored(at)).bind(error.to_owned()), lease, event).await
    }

    async fn pending(&mut self) -> Result<u64> {
        let query = sqlx::query_scalar::<_, i64>(
            "SELECT COUNT(*) FROM multitenancy_outbox WHERE tenant_id = $1 AND parked_at IS NULL",
        )
        .bind(self.scope());
        let pending = query.fetch_one(self.connection()?).await.map_err(store_error)?;
        Ok(pending.unsigned_abs())
    }

    async fn parked(&mut self, limit: u32) -> Result<Vec<Envelope>> {
        let query = sqlx::query_as::<_, Row>(concat!(
            "SELECT ",
            columns!(),
            " FROM multitenancy_outbox WHERE tenant_id = $1 AND parked_at IS NOT NULL ORDER BY sequence LIMIT $2"
        ))
        .bind(self.scope())
        .bind(i64::from(limit));
        let rows = query.fetch_all(self.connection()?).await.map_err(store_error)?;
        rows.into_iter().map(|row| Ok(ClaimedEvent::try_from(row)?.envelope)).collect()
    }
}
