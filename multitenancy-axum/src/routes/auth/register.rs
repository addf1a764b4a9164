use axum::{extract::State, http::StatusCode};
use multitenancy_core::{Tenancy, account::Registration};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    extract::{CurrentContext, Json},
    problem::Problem,
    routes::users::UserBody,
};

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Registration, example = json!({ "email": "ada@example.com", "password": "correct horse battery staple" }))]
pub(crate) struct Request {
    /// The address to sign in with.
    #[schema(format = Email, max_length = 254)]
    email: String,
    /// The password to sign in with. A password that is easy to guess is refused.
    #[schema(value_type = String, format = Password, write_only, max_length = 1024)]
    password: SecretString,
    /// The full name.
    #[schema(max_length = 200)]
    full_name: Option<String>,
}

/// Register
///
/// On the platform, or in the organization that the request names. `Authorization` is ignored.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    tag = "auth",
    request_body = Request,
    responses(
        (status = 201, description = "The new user.", body = UserBody),
        (status = 403, description = "`registration_closed`, `tenant_inactive`"),
        (status = 404, description = "`tenant_not_found`"),
        (status = 409, description = "`email_taken`"),
    ),
    security(()),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    realm: CurrentContext,
    Json(request): Json<Request>,
) -> Result<(StatusCode, Json<UserBody>), Problem> {
    let registration =
        Registration { email: request.email, password: request.password, full_name: request.full_name };
    let user = tenancy.accounts().register(&realm, registration).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}
