use axum::extract::State;
use multitenancy_core::{Permission, Tenancy, permission::UpdateOwnProfile, user::ProfileUpdate};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::UserBody;
use crate::{
    extract::{Authenticated, Json},
    problem::Problem,
};

/// Changes to a profile. An absent field stays as it is; an empty text clears it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProfileUpdate, example = json!({ "display_name": "Ada", "metadata": { "team": "engine" } }))]
pub(crate) struct Request {
    #[schema(max_length = 200)]
    username: Option<String>,
    #[schema(max_length = 200)]
    full_name: Option<String>,
    #[schema(max_length = 200)]
    first_name: Option<String>,
    #[schema(max_length = 200)]
    last_name: Option<String>,
    #[schema(max_length = 200)]
    display_name: Option<String>,
    #[schema(max_length = 40)]
    phone: Option<String>,
    /// An `http` or `https` URL.
    #[schema(max_length = 2000)]
    avatar_url: Option<String>,
    /// Merged key by key; a key that is null is removed. At most 16 KiB in all.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// Update your own profile
///
/// Roles, address and status do not change here.
#[utoipa::path(
    put,
    path = "/users/me",
    operation_id = "update_me",
    tag = "users",
    request_body = Request,
    responses((status = 200, description = "The updated profile.", body = UserBody)),
    security(("bearer" = [])),
    extensions(("x-permission" = json!(UpdateOwnProfile::NAME))),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    caller: Authenticated,
    Json(request): Json<Request>,
) -> Result<Json<UserBody>, Problem> {
    caller.require::<UpdateOwnProfile>(&tenancy)?;
    let update = ProfileUpdate {
        username: request.username,
        full_name: request.full_name,
        first_name: request.first_name,
        last_name: request.last_name,
        display_name: request.display_name,
        phone: request.phone,
        avatar_url: request.avatar_url,
        metadata: request.metadata,
    };
    Ok(Json(tenancy.accounts().update_profile(&caller, update).await?.into()))
}
