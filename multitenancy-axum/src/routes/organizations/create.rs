use axum::{extract::State, http::StatusCode};
use multitenancy_core::{
    Error, Isolation, Result, Tenancy,
    error::both,
    organization::NewOrganization,
    tenant::{Slug, TenantName},
};
use serde::Deserialize;
use utoipa::{ToSchema, openapi::Object};

use super::OrganizationBody;
use crate::{
    extract::{Json, PlatformUser},
    problem::Problem,
    schema::one_of,
};

/// A new organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrganization, example = json!({ "name": "Acme" }))]
pub(crate) struct Request {
    /// The display name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The URL-safe identifier. Derived from the name when absent.
    #[schema(min_length = 3, max_length = 63, pattern = "^[a-z0-9][a-z0-9-]*[a-z0-9]$")]
    slug: Option<String>,
    #[schema(schema_with = wanted_isolation)]
    isolation: Option<Isolation>,
}

fn wanted_isolation() -> Object {
    one_of(
        "How its data is isolated: one of the deployment's modes. The deployment's default when absent.",
        Isolation::ALL,
    )
}

impl TryFrom<Request> for NewOrganization {
    type Error = Error;

    /// Names every refused value, not just the first.
    fn try_from(request: Request) -> Result<Self> {
        let name = request.name.parse::<TenantName>();
        let slug = request.slug.map(|slug| slug.parse::<Slug>()).transpose();
        let (name, slug) = both(name, slug)?;
        Ok(Self { name, slug, isolation: request.isolation })
    }
}

/// Create an organization
///
/// The caller, a user of the platform, becomes its owner, and signs in with POST /auth/switch. The organization is ready
/// when this answers. A client that disconnects does not stop its creation.
#[utoipa::path(
    post,
    path = "/organizations",
    operation_id = "create_organization",
    tag = "organizations",
    request_body = Request,
    responses(
        (status = 201, description = "The new organization, active.", body = OrganizationBody),
        (status = 403, description = "`wrong_scope`"),
        (status = 409, description = "`slug_taken`"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    user: PlatformUser,
    Json(request): Json<Request>,
) -> Result<(StatusCode, Json<OrganizationBody>), Problem> {
    let tenant = tenancy.organizations().create(user.caller(), request.try_into()?).await?;
    Ok((StatusCode::CREATED, Json((&tenant).into())))
}
