use axum::extract::State;
use multitenancy_core::Tenancy;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::TokensBody;
use crate::{
    extract::{Facts, Json},
    problem::Problem,
};

/// A refresh token to exchange.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Refresh)]
pub(crate) struct Request {
    /// The refresh token of the last answer. It is valid once.
    #[schema(value_type = String, write_only)]
    refresh_token: SecretString,
}

/// Refresh tokens
///
/// Exchanges a refresh token for a new one and a new access token of the same session. `Authorization` is ignored.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refresh",
    tag = "auth",
    request_body = Request,
    responses(
        (status = 200, description = "New tokens of the same session.", body = TokensBody),
        (status = 401, description = "`invalid_refresh_token`"),
    ),
    security(()),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    Facts(facts): Facts,
    Json(request): Json<Request>,
) -> Result<Json<TokensBody>, Problem> {
    let signed_in = tenancy.accounts().refresh(&request.refresh_token, &facts).await?;
    Ok(Json(signed_in.into()))
}
