use axum::extract::State;
use multitenancy_core::{Permission, Tenancy, TenantId, permission::ManageTenantStatus};

use super::operator;
use crate::{
    extract::{Authenticated, Json, Path},
    problem::Problem,
    routes::organizations::OrganizationBody,
};

/// Suspend an organization
///
/// It is refused everywhere until it is activated. When this answers, nothing that is written inside it commits any more.
/// For platform administrators.
#[utoipa::path(
    post,
    path = "/tenants/{id}/suspend",
    operation_id = "suspend_tenant",
    tag = "tenants",
    params(("id" = String, Path, description = "The id of the organization.", format = Uuid)),
    responses(
        (status = 200, description = "The organization with its new status.", body = OrganizationBody),
        (status = 403, description = "`wrong_scope`"),
        (status = 404, description = "`tenant_not_found`, also for a malformed id"),
        (status = 409, description = "`invalid_transition`"),
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!(ManageTenantStatus::NAME))),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    caller: Authenticated,
    id: Result<Path<TenantId>, Problem>,
) -> Result<Json<OrganizationBody>, Problem> {
    let (context, id) = operator(&tenancy, &caller, id)?;
    let tenant = tenancy.organizations().suspend(context, id).await?;
    Ok(Json((&tenant).into()))
}
