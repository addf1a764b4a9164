//! Tenants, as platform administrators manage them.

pub(super) mod activate;
pub(super) mod cancel;
pub(super) mod suspend;

use multitenancy_core::{
    ControlContext, Tenancy, TenantId, permission::ManageTenantStatus, tenant::not_found,
};

use crate::{
    extract::{Authenticated, Path},
    problem::Problem,
};

/// The context of a platform administrator, and the id of the tenant. A malformed id gets the same answer as an unknown
/// one (E19, S80).
fn operator<'c>(
    tenancy: &Tenancy,
    caller: &'c Authenticated,
    id: Result<Path<TenantId>, Problem>,
) -> Result<(&'c ControlContext, TenantId), Problem> {
    caller.require::<ManageTenantStatus>(tenancy)?;
    let context = caller.control_context()?;
    let Path(id) = id.map_err(|_malformed| not_found())?;
    Ok((context, id))
}
