use axum::extract::State;
use multitenancy_core::{Permission, Tenancy, permission::ReadOwnProfile};

use super::UserBody;
use crate::{
    extract::{Authenticated, Json},
    problem::Problem,
};

/// Read your own profile
#[utoipa::path(
    get,
    path = "/users/me",
    operation_id = "read_me",
    tag = "users",
    responses((status = 200, description = "The caller.", body = UserBody)),
    security(("bearer" = [])),
    extensions(("x-permission" = json!(ReadOwnProfile::NAME))),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    caller: Authenticated,
) -> Result<Json<UserBody>, Problem> {
    caller.require::<ReadOwnProfile>(&tenancy)?;
    Ok(Json(tenancy.accounts().profile(&caller).await?.into()))
}
