use axum::{extract::State, http::StatusCode};
use multitenancy_core::{
    Error, Isolation, Result, Tenancy,
    organization::NewOrganization,
    tenant::{Slug, TenantName},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::OrganizationBody;
use crate::{
    extract::{Json, PlatformUser},
    problem::{Problem, ProblemDocument},
};

/// An organization that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOrganization)]
pub(crate) struct Request {
    /// What people call it: 1 to 200 characters.
    name: String,
    /// Its name in addresses: 3 to 63 characters of a-z, 0-9 and -. Made from the name when absent.
    slug: Option<String>,
    /// How its data is kept apart: `shared`, `schema` or `database`. The deployment's default when absent.
    #[schema(value_type = Option<String>)]
    isolation: Option<Isolation>,
}

impl TryFrom<Request> for NewOrganization {
    type Error = Error;

    /// Names every refused value, not just the first.
    fn try_from(request: Request) -> Result<Self> {
        let name = request.name.parse::<TenantName>();
        let slug = request.slug.map(|slug| slug.parse::<Slug>()).transpose();
        match (name, slug) {
            (Ok(name), Ok(slug)) => Ok(Self { name, slug, isolation: request.isolation }),
            (name, slug) => {
                let refused = [name.err(), slug.err()];
                let fields = refused.iter().flatten().flat_map(Error::fields).cloned();
                Err(Error::invalid(fields.collect()))
            }
        }
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
        (status = 403, description = "`wrong_scope`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`slug_taken`", body = ProblemDocument, content_type = "application/problem+json"),
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
