use async_trait::async_trait;
use multitenancy_core::{EventId, Result, event::ConsumedEvents};

use super::{Unit, store_error};

#[async_trait]
impl ConsumedEvents for Unit {
    async fn record(&mut self, consumer: &str, event: EventId) -> Result<bool> {
        let query = sqlx::query(
            "INSERT INTO multitenancy_consumed_events (tenant_id, consumer, event_id) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(self.scope())
        .bind(consumer)
        .bind(event.as_uuid());
        self.affected_one(query).await
    }

    async fn contains(&mut self, consumer: &str, event: EventId) -> Result<bool> {
        let query = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM multitenancy_consumed_events \
             WHERE tenant_id = $1 AND consumer = $2 AND event_id = $3)",
        )
        .bind(self.scope())
        .bind(consumer)
        .bind(event.as_uuid());
        query.fetch_one(self.connection()?).await.map_err(store_error)
    }
}
