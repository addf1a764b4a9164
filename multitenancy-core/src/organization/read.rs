use std::sync::Arc;

use super::Organizations;
use crate::{
    access::{Caller, Context},
    error::Result,
    id::TenantId,
    page::PageRequest,
    tenant::Tenant,
};

impl Organizations {
    /// The organizations of the caller: for a user of the platform those they belong to, in the order of their
    /// making; for a user of a tenant that one.
    pub async fn list_own(&self, caller: &Caller) -> Result<Vec<Arc<Tenant>>> {
        let control = match caller.context() {
            Context::Tenant(context) => return Ok(vec![context.tenant().clone()]),
            Context::Control(context) => context,
        };
        let mut own = Vec::new();
        let mut page = PageRequest::<TenantId>::first(PageRequest::<TenantId>::MAX_SIZE);
        loop {
            let mut unit = self.access.store().read_control(control).await?;
            let found = unit.memberships().list(caller.user_id(), &page).await?;
            drop(unit);
            for membership in found.items {
                own.extend(self.access.find_tenant(&membership.tenant_id.into()).await?);
            }
            match found.next {
                Some(key) => page = page.after(key),
                None => return Ok(own),
            }
        }
    }

    /// One of the caller's organizations. 404 `tenant_not_found` alike for one that is not there and for one that is
    /// not theirs (S80).
    pub async fn read(&self, caller: &Caller, id: TenantId) -> Result<Arc<Tenant>> {
        match caller.context() {
            Context::Tenant(context) if context.tenant_id() == id => Ok(context.tenant().clone()),
            Context::Tenant(_) => Err(crate::tenant::not_found()),
            Context::Control(context) => {
                let mut unit = self.access.store().read_control(context).await?;
                let membership = unit.memberships().find(id, caller.user_id()).await?;
                drop(unit);
                membership.ok_or_else(crate::tenant::not_found)?;
                self.access.find_tenant(&id.into()).await?.ok_or_else(crate::tenant::not_found)
            }
        }
    }
}
