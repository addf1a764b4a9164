//! A repository has its tenant from its unit, and takes no other.

use multitenancy_core::{Result, TenantId, TenantTransaction, UserId};

async fn explicit(unit: &mut dyn TenantTransaction, tenant: TenantId, user: UserId) -> Result<()> {
    unit.users().find(tenant, user).await?;
    unit.users().find(tenant).await?;
    Ok(())
}

fn main() {}
