//! What is committed is over: nothing is done in it any more, and it is not committed twice.

use multitenancy_core::{Result, TenantTransaction, UserId};

async fn late(mut unit: Box<dyn TenantTransaction>, id: UserId) -> Result<()> {
    unit.commit().await?;
    unit.users().find(id).await?;
    Ok(())
}

async fn twice(unit: Box<dyn TenantTransaction>) -> Result<()> {
    unit.commit().await?;
    unit.commit().await
}

fn main() {}
