use axum::extract::State;
use multitenancy_core::Tenancy;
use serde::Deserialize;
use utoipa::ToSchema;

use super::TokensBody;
use crate::{
    extract::{Facts, Json, Peer, SwitchingCaller},
    problem::Problem,
};

/// The organization to switch to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Switch, example = json!({ "tenant": "acme" }))]
pub(crate) struct Request {
    /// The id or the slug of an organization the caller belongs to.
    #[schema(min_length = 3, max_length = 63)]
    tenant: String,
}

/// Switch to an organization
///
/// Starts a session in an organization that the caller belongs to. The platform's token stays valid. A header or a host
/// that names an organization must name the one in the body.
#[utoipa::path(
    post,
    path = "/auth/switch",
    operation_id = "switch",
    tag = "auth",
    request_body = Request,
    responses(
        (status = 200, description = "Tokens of a new session in the organization.", body = TokensBody),
        (status = 403, description = "`wrong_scope`"),
        (status = 404, description = "`tenant_not_found`"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    SwitchingCaller(caller): SwitchingCaller,
    Facts(facts): Facts,
    Peer(client): Peer,
    Json(request): Json<Request>,
) -> Result<Json<TokensBody>, Problem> {
    let signed_in = tenancy.accounts().switch(&caller, &request.tenant.parse()?, &facts, client).await?;
    Ok(Json(signed_in.into()))
}
