use axum::extract::State;
use multitenancy_core::{Permission, Tenancy, permission::ReadOwnTenant};
use serde::Serialize;
use utoipa::ToSchema;

use super::OrganizationBody;
use crate::{
    extract::{Authenticated, Json},
    problem::Problem,
};

/// The caller's organizations.
#[derive(Serialize, ToSchema)]
#[schema(as = Organizations)]
pub(crate) struct Body {
    /// Oldest first.
    items: Vec<OrganizationBody>,
}

/// List your own organizations
///
/// For a user of the platform, the organizations they belong to; for a user of an organization, that organization.
#[utoipa::path(
    get,
    path = "/organizations/me",
    operation_id = "list_own_organizations",
    tag = "organizations",
    responses((status = 200, description = "The caller's organizations.", body = Body)),
    security(("bearer" = [])),
    extensions(("x-permission" = json!(ReadOwnTenant::NAME))),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    caller: Authenticated,
) -> Result<Json<Body>, Problem> {
    caller.require::<ReadOwnTenant>(&tenancy)?;
    let own = tenancy.organizations().list_own(&caller).await?;
    let items = own.iter().map(|tenant| (&**tenant).into()).collect();
    Ok(Json(Body { items }))
}
