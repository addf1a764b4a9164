use async_trait::async_trait;
use multitenancy_core::{
    Result, TenantId, UserId,
    page::{Page, PageRequest},
    tenant::{Membership, MembershipRepository},
};
use uuid::Uuid;

use super::{
    Unit,
    codec::{Stored, instant, stored},
    limit,
};

#[derive(sqlx::FromRow)]
struct Row {
    tenant_id: Uuid,
    user_id: Uuid,
    created_at: Stored,
}

impl TryFrom<Row> for Membership {
    type Error = multitenancy_core::Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            tenant_id: TenantId::from_uuid(row.tenant_id),
            user_id: UserId::from_uuid(row.user_id),
            created_at: instant(row.created_at)?,
        })
    }
}

#[async_trait]
impl MembershipRepository for Unit {
    async fn insert(&mut self, membership: &Membership) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO multitenancy_memberships (user_id, tenant_id, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(membership.user_id.as_uuid())
        .bind(membership.tenant_id.as_uuid())
        .bind(stored(membership.created_at));
        self.execute(query).await
    }

    async fn find(&mut self, tenant: TenantId, user: UserId) -> Result<Option<Membership>> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT tenant_id, user_id, created_at FROM multitenancy_memberships \
             WHERE user_id = $1 AND tenant_id = $2",
        )
        .bind(user.as_uuid())
        .bind(tenant.as_uuid());
        self.fetch_one_as(query).await
    }

    async fn remove(&mut self, tenant: TenantId, user: UserId) -> Result<()> {
        let query = sqlx::query("DELETE FROM multitenancy_memberships WHERE user_id = $1 AND tenant_id = $2")
            .bind(user.as_uuid())
            .bind(tenant.as_uuid());
        self.execute(query).await
    }

    async fn list(
        &mut self,
        user: UserId,
        page: &PageRequest<TenantId>,
    ) -> Result<Page<Membership, TenantId>> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT tenant_id, user_id, created_at FROM multitenancy_memberships \
             WHERE user_id = $1 AND ($2 IS NULL OR tenant_id > $2) ORDER BY tenant_id LIMIT $3",
        )
        .bind(user.as_uuid())
        .bind(page.key().map(TenantId::as_uuid))
        .bind(limit(page));
        self.fetch_page_as(query, page, |membership: &Membership| membership.tenant_id).await
    }
}
