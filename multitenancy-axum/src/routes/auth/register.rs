use axum::{extract::State, http::StatusCode};
use multitenancy_core::{Tenancy, account::Registration};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    extract::{CurrentRealm, Json},
    openapi::TenantParam,
    problem::{Problem, ProblemDocument},
    routes::users::UserBody,
};

/// Somebody who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Registration)]
pub(crate) struct Request {
    /// The address to sign in with.
    #[schema(format = Email)]
    email: String,
    /// The password to sign in with: 12 characters at least, not a common one, by default.
    #[schema(value_type = String, format = Password, write_only)]
    password: SecretString,
    /// The whole name.
    full_name: Option<String>,
}

/// Register
///
/// On the platform, or in the organization that the request names. `Authorization` is not looked at.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    tag = "auth",
    params(TenantParam),
    request_body = Request,
    responses(
        (status = 201, description = "The new user.", body = UserBody),
        (status = 409, description = "`email_taken`", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    realm: CurrentRealm,
    Json(request): Json<Request>,
) -> Result<(StatusCode, Json<UserBody>), Problem> {
    let registration = Registration {
        email: request.email.parse()?,
        password: request.password,
        full_name: request.full_name,
    };
    let user = tenancy.register(&realm, registration).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}
