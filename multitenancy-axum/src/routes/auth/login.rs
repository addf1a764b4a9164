use axum::extract::State;
use multitenancy_core::{Tenancy, account::Credentials};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::TokensBody;
use crate::{
    extract::{CurrentContext, Json, Peer},
    problem::Problem,
};

/// An address and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Credentials, example = json!({ "email": "ada@example.com", "password": "correct horse battery staple" }))]
pub(crate) struct Request {
    /// The address.
    email: String,
    /// The password.
    #[schema(value_type = String, format = Password, write_only)]
    password: SecretString,
}

/// Log in
///
/// On the platform, or in the organization that the request names. `Authorization` is ignored. Until the password is
/// proven, every refusal is the same.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    tag = "auth",
    request_body = Request,
    responses(
        (status = 200, description = "Tokens of a new session.", body = TokensBody),
        (status = 401, description = "`invalid_credentials`"),
        (status = 403, description = "`account_inactive`, `tenant_inactive`"),
        (status = 404, description = "`tenant_not_found`"),
    ),
    security(()),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    realm: CurrentContext,
    Peer(client): Peer,
    Json(request): Json<Request>,
) -> Result<Json<TokensBody>, Problem> {
    let credentials = Credentials { email: request.email, password: request.password };
    let signed_in = tenancy.accounts().log_in(&realm, credentials, client).await?.complete()?;
    Ok(Json(signed_in.into()))
}
