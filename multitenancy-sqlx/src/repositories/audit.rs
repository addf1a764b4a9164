use async_trait::async_trait;
use multitenancy_core::{
    AuditId, Error, Result,
    audit::{AuditLog, AuditRecord},
    event::Aggregate,
    page::{Page, PageRequest},
};
use uuid::Uuid;

use super::{
    Unit,
    codec::{Stored, instant, stored},
    from_json, limit, to_json,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    at: Stored,
    actor: String,
    action: String,
    resource_kind: String,
    resource_id: String,
    details: String,
    request_id: Option<String>,
}

impl TryFrom<Row> for AuditRecord {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: AuditId::from_uuid(row.id),
            at: instant(row.at)?,
            actor: from_json(&row.actor)?,
            action: row.action,
            resource: Aggregate { kind: row.resource_kind, id: row.resource_id },
            details: from_json(&row.details)?,
            request_id: row.request_id,
        })
    }
}

#[async_trait]
impl AuditLog for Unit {
    async fn append(&mut self, record: &AuditRecord) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO multitenancy_audit (tenant_id, id, at, actor, action, resource_kind, resource_id, details, \
             request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.scope())
        .bind(record.id.as_uuid())
        .bind(stored(record.at))
        .bind(to_json(&record.actor)?)
        .bind(&record.action)
        .bind(&record.resource.kind)
        .bind(&record.resource.id)
        .bind(to_json(&record.details)?)
        .bind(record.request_id.as_deref());
        self.execute(query).await
    }

    async fn list(&mut self, page: &PageRequest<AuditId>) -> Result<Page<AuditRecord, AuditId>> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT id, at, actor, action, resource_kind, resource_id, details, request_id FROM multitenancy_audit \
             WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(self.scope())
        .bind(page.key().map_or(Uuid::nil(), AuditId::as_uuid))
        .bind(limit(page));
        self.fetch_page_as(query, page, |record: &AuditRecord| record.id).await
    }
}
