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
    openapi::one_of,
    problem::Problem,
};

/// An organization that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrganization, example = json!({ "name": "Acme" }))]
pub(crate) struct Request {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Its name in addresses. Made from the name when absent.
    #[schema(min_length = 3, max_length = 63, pattern = "^[a-z0-9][a-z0-9-]*[a-z0-9]$")]
    slug: Option<String>,
    #[schema(schema_with = wanted_isolation)]
    isolation: Option<Isolation>,
}

fn wanted_isolation() -> Object {
    one_of(
        "How its data is kept apart, among what the deployment has. Its default when absent.",
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
/// Owned by the caller, a user of the platform, who enters it with POST /auth/switch. It is completely there when
/// this answers; when the client goes away before, it is made all the same.
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
    let tenant = tenancy.create_organization(user.caller(), request.try_into()?).await?;
    Ok((StatusCode::CREATED, Json((&tenant).into())))
}
