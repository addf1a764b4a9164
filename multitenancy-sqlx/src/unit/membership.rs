use async_trait::async_trait;
use multitenancy_core::{
    Result, TenantId, UserId,
    page::{Page, PageRequest},
    tenant::{Membership, MembershipRepository},
};
use uuid::Uuid;

use super::{
    codec::{Stored, instant, stored},
    error::store_error,
    unit::Unit,
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
        query.execute(self.writable()?).await.map(drop).map_err(store_error)
    }

    async fn find(&mut self, tenant: TenantId, user: UserId) -> Result<Option<Membership>> {
        let query = sqlx::query_as::<_, Row>(
            "SELECT tenant_id, user_id, created_at FROM multitenancy_memberships \
             WHERE user_id = $1 AND tenant_id = $2",
        )
        .bind(user.as_uuid())
        .bind(tenant.as_uuid());
        let row = query.fetch_optional(self.connection()?).await.map_err(store_error)?;
        row.map(Membership::try_from).transpose()
    }

    async fn remove(&mut self, tenant: TenantId, user: UserId) -> Result<()> {
        let query = sqlx::query("DELETE FROM multitenancy_memberships WHERE user_id = $1 AND tenant_id = $2")
            .bind(user.as_uuid())
            .bind(tenant.as_uuid());
        query.execute(self.writable()?).await.map(drop).map_err(store_error)
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
        .bind(i64::from(page.size()) + 1);
        let rows = query.fetch_all(self.connection()?).await.map_err(store_error)?;
        let items = rows.into_iter().map(Membership::try_from).collect::<Result<_>>()?;
        Ok(Page::from_overfull(items, page, |membership: &Membership| membership.tenant_id))
    }
}
