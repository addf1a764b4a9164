use axum::extract::State;
use multitenancy_core::{Permission, Tenancy, TenantId, permission::ReadOwnTenant, tenant::not_found};

use super::OrganizationBody;
use crate::{
    extract::{Authenticated, Json, Path},
    problem::Problem,
};

/// Read one of your own organizations
#[utoipa::path(
    get,
    path = "/organizations/{id}",
    operation_id = "read_organization",
    tag = "organizations",
    params(("id" = String, Path, description = "The id of the organization.", format = Uuid)),
    responses(
        (status = 200, description = "The organization.", body = OrganizationBody),
        (status = 404, description = "`tenant_not_found`, also for a malformed id"),
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!(ReadOwnTenant::NAME))),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    caller: Authenticated,
    id: Result<Path<TenantId>, Problem>,
) -> Result<Json<OrganizationBody>, Problem> {
    caller.require::<ReadOwnTenant>(&tenancy)?;
    // A malformed id gets the same answer as an unknown one (E19, S80).
    let Path(id) = id.map_err(|_no_id| not_found())?;
    let tenant = tenancy.organizations().read(&caller, id).await?;
    Ok(Json((&*tenant).into()))
}
