//! The OpenAPI document: put together from the same declarations as the router.

use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response,
        ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{prefix::Prefix, problem::ProblemDocument, routes, system};

/// The name of an organization in the head of a request.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only documentation is made of it")]
pub(crate) struct TenantParam {
    /// The id or the slug of the organization that the request is for. With a token it may be left out, and must
    /// not disagree.
    #[param(rename = "X-Tenant-Id")]
    x_tenant_id: Option<String>,
}

/// The OpenAPI document of the framework's endpoints, where they are nested under `prefix`, such as `/api/v1`.
///
/// ```
/// let document = multitenancy_axum::openapi("/api/v1");
/// assert!(document.paths.paths.contains_key("/api/v1/auth/login"));
/// ```
pub fn openapi(prefix: &str) -> OpenApi {
    let mut document = head();
    let prefix = Prefix::lenient(prefix);
    document = document.nest(prefix.as_str(), routes::documented().into_openapi());
    document.merge(system::documented().into_openapi());
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post];
        for operation in operations.into_iter().flatten() {
            describe_refusals(operation);
        }
    }
    document
}

fn head() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The access token of POST /auth/login or POST /auth/switch."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .schema(ProblemDocument::name(), ProblemDocument::schema())
        .build();
    let info = InfoBuilder::new()
        .title("multitenancy")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Every request belongs to exactly one tenant, or to the platform. Refusals are problems (RFC 9457).",
        ))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Whatever else goes wrong is a problem too.
fn describe_refusals(operation: &mut Operation) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDocument::name()))).build();
    let refusal: RefOr<Response> = ResponseBuilder::new()
        .description("Refused: see `code`.")
        .content("application/problem+json", problem)
        .build()
        .into();
    operation.responses.responses.entry("default".to_owned()).or_insert(refusal);
}
