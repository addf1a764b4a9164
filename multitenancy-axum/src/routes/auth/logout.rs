use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use multitenancy_core::Tenancy;

use crate::{
    extract::{Facts, unauthenticated},
    facts::bearer_token,
    problem::Problem,
};

/// Log out
///
/// Ends the session of the access token. Ending an ended session succeeds.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    tag = "auth",
    responses((status = 204, description = "The session has ended.")),
    security(("bearer" = [])),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    Facts(facts): Facts,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let token = bearer_token(&headers)?.ok_or_else(unauthenticated)?;
    tenancy.accounts().log_out_token(token, &facts).await?;
    Ok(StatusCode::NO_CONTENT)
}
