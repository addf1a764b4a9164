//! Inside a tenant there is no registry to look into.

use multitenancy_core::{Result, TenantId, TenantTransaction, UserId};

async fn curious(unit: &mut dyn TenantTransaction, tenant: TenantId, user: UserId) -> Result<()> {
    unit.tenants().find(&tenant.into()).await?;
    unit.memberships().find(tenant, user).await?;
    Ok(())
}

fn main() {}
