use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Control, unit::MemoryUnit};
use crate::{
    error::Result,
    id::{TenantId, UserId},
    page::{Page, PageRequest},
    tenant::{
        Membership, MembershipRepository, StatusChange, Tenant, TenantKey, TenantRepository, TenantStatus,
        domain_taken, slug_taken,
    },
};

/// The rows of the control plane that no other plane has.
#[derive(Clone, Default)]
pub(super) struct Registry {
    tenants: BTreeMap<TenantId, Tenant>,
    memberships: BTreeMap<(UserId, TenantId), Membership>,
}

impl Registry {
    /// In the order of their ids.
    pub fn tenants(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.values()
    }

    pub fn is_closed(&self, id: TenantId) -> bool {
        self.tenants.get(&id).is_some_and(|tenant| tenant.status.is_closed())
    }
}

#[async_trait]
impl TenantRepository for MemoryUnit<Control> {
    async fn insert(&mut self, tenant: &Tenant) -> Result<()> {
        let tenants = &mut self.writable()?.registry.tenants;
        if tenants.values().any(|other| other.slug == tenant.slug) {
            return Err(slug_taken());
        }
        if tenant.domain.is_some() && tenants.values().any(|other| other.domain == tenant.domain) {
            return Err(domain_taken());
        }
        tenants.insert(tenant.id, tenant.clone());
        Ok(())
    }

    async fn find(&mut self, key: &TenantKey) -> Result<Option<Tenant>> {
        Ok(self.working.registry.tenants.values().find(|tenant| key.names(tenant)).cloned())
    }

    async fn set_status(&mut self, change: &StatusChange) -> Result<bool> {
        let row = self.writable()?.registry.tenants.get_mut(&change.tenant);
        let Some(tenant) = row.filter(|tenant| tenant.status == change.from) else { return Ok(false) };
        tenant.status = change.to;
        tenant.updated_at = change.at;
        self.changed_tenants.push(change.tenant);
        Ok(true)
    }

    async fn withdraw(&mut self, id: TenantId) -> Result<bool> {
        let registry = &mut self.writable()?.registry;
        if registry.tenants.get(&id).is_none_or(|tenant| tenant.status != TenantStatus::Provisioning) {
            return Ok(false);
        }
        registry.tenants.remove(&id);
        registry.memberships.retain(|(_, tenant), _| *tenant != id);
        self.changed_tenants.push(id);
        Ok(true)
    }

    async fn list(
        &mut self,
        status: Option<TenantStatus>,
        page: &PageRequest<TenantId>,
    ) -> Result<Page<Tenant, TenantId>> {
        let items = self
            .working
            .registry
            .tenants
            .values()
            .filter(|tenant| status.is_none_or(|status| tenant.status == status))
            .filter(|tenant| page.key().is_none_or(|key| tenant.id > *key))
            .take(page.size() as usize + 1)
            .cloned()
            .collect();
        Ok(Page::from_overfull(items, page, |tenant: &Tenant| tenant.id))
    }
}

#[async_trait]
impl MembershipRepository for MemoryUnit<Control> {
    async fn insert(&mut self, membership: &Membership) -> Result<()> {
        let key = (membership.user_id, membership.tenant_id);
        self.writable()?.registry.memberships.entry(key).or_insert_with(|| membership.clone());
        Ok(())
    }

    async fn find(&mut self, tenant: TenantId, user: UserId) -> Result<Option<Membership>> {
        Ok(self.working.registry.memberships.get(&(user, tenant)).cloned())
    }

    async fn remove(&mut self, tenant: TenantId, user: UserId) -> Result<()> {
        self.writable()?.registry.memberships.remove(&(user, tenant));
        Ok(())
    }

    async fn list(
        &mut self,
        user: UserId,
        page: &PageRequest<TenantId>,
    ) -> Result<Page<Membership, TenantId>> {
        let items = self
            .working
            .registry
            .memberships
            .values()
            .filter(|membership| membership.user_id == user)
            .filter(|membership| page.key().is_none_or(|key| membership.tenant_id > *key))
            .take(page.size() as usize + 1)
            .cloned()
            .collect();
        Ok(Page::from_overfull(items, page, |membership: &Membership| membership.tenant_id))
    }
}
