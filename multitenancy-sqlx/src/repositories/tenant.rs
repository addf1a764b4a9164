use async_trait::async_trait;
use multitenancy_core::{
    Result, Tenant, TenantId, UserId,
    page::{Page, PageRequest},
    tenant::{Domain, StatusChange, TenantKey, TenantRepository, TenantStatus, domain_taken, slug_taken},
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
    name: String,
    slug: String,
    domain: Option<String>,
    plan: String,
    status: String,
    isolation: String,
    owner_id: Uuid,
    settings: String,
    created_at: Stored,
    updated_at: Stored,
}

impl TryFrom<Row> for Tenant {
    type Error = multitenancy_core::Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: TenantId::from_uuid(row.id),
            name: row.name.parse()?,
            slug: row.slug.parse()?,
            domain: row.domain.as_deref().map(str::parse).transpose()?,
            plan: row.plan.parse()?,
            status: row.status.parse()?,
            isolation: row.isolation.parse()?,
            owner_id: UserId::from_uuid(row.owner_id),
            settings: from_json(&row.settings)?,
            created_at: instant(row.created_at)?,
            updated_at: instant(row.updated_at)?,
        })
    }
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT id, name, slug, domain, plan, status, isolation, owner_id, settings, created_at, updated_at ",
            "FROM multitenancy_tenants WHERE ",
            $condition
        )
    };
}

#[async_trait]
impl TenantRepository for Unit {
    async fn insert(&mut self, tenant: &Tenant) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO multitenancy_tenants (id, name, slug, domain, plan, status, isolation, owner_id, settings, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        )
        .bind(tenant.id.as_uuid())
        .bind(tenant.name.as_str())
        .bind(tenant.slug.as_str())
        .bind(tenant.domain.as_ref().map(Domain::as_str))
        .bind(tenant.plan.as_str())
        .bind(tenant.status.as_str())
        .bind(tenant.isolation.as_str())
        .bind(tenant.owner_id.as_uuid())
        .bind(to_json(&tenant.settings)?)
        .bind(stored(tenant.created_at))
        .bind(stored(tenant.updated_at));
        if self.affected_one(query).await? {
            return Ok(());
        }
        let same_slug = self.find(&TenantKey::Slug(tenant.slug.clone())).await?;
        Err(if same_slug.is_some() { slug_taken() } else { domain_taken() })
    }

    async fn find(&mut self, key: &TenantKey) -> Result<Option<Tenant>> {
        let query = match key {
            TenantKey::Id(id) => sqlx::query_as::<_, Row>(select!("id = $1")).bind(id.as_uuid()),
            TenantKey::Slug(slug) => sqlx::query_as(select!("slug = $1")).bind(slug.as_str()),
            TenantKey::Domain(domain) => sqlx::query_as(select!("domain = $1")).bind(domain.as_str()),
        };
        self.fetch_one_as(query).await
    }

    async fn set_status(&mut self, change: &StatusChange) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE multitenancy_tenants SET status = $3, updated_at = $4 WHERE id = $1 AND status = $2",
        )
        .bind(change.tenant().as_uuid())
        .bind(change.from().as_str())
        .bind(change.to().as_str())
        .bind(stored(change.at()));
        let changed = self.affected_one(query).await?;
        if changed {
            self.lease.tenant_changed(change.tenant());
        }
        Ok(changed)
    }

    async fn withdraw(&mut self, id: TenantId) -> Result<bool> {
        let query = sqlx::query("DELETE FROM multitenancy_tenants WHERE id = $1 AND status = $2")
            .bind(id.as_uuid())
            .bind(TenantStatus::Provisioning.as_str());
        if !self.affected_one(query).await? {
            return Ok(false);
        }
        let sql = "DELETE FROM multitenancy_tenant_schemas WHERE tenant_id = $1";
        self.execute(sqlx::query(sql).bind(id.as_uuid())).await?;
        self.lease.tenant_changed(id);
        Ok(true)
    }

    async fn list(
        &mut self,
        status: Option<TenantStatus>,
        page: &PageRequest<TenantId>,
    ) -> Result<Page<Tenant, TenantId>> {
        let query = sqlx::query_as::<_, Row>(select!(
            "($1 IS NULL OR id > $1) AND ($2 IS NULL OR status = $2) ORDER BY id LIMIT $3"
        ))
        .bind(page.key().map(TenantId::as_uuid))
        .bind(status.map(TenantStatus::as_str))
        .bind(limit(page));
        self.fetch_page_as(query, page, |tenant: &Tenant| tenant.id).await
    }
}
