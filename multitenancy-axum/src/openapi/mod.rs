//! The OpenAPI document: put together from the same declarations as the router.

mod answers;
mod requests;

use multitenancy_core::Tenancy;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{prefix::Prefix, problem::ProblemDocument, routes, system};

/// The OpenAPI document of the framework's endpoints as this application serves them, nested under `prefix`, such as
/// `/api/v1`.
///
/// ```
/// use multitenancy_axum::Tenancy;
/// use multitenancy_core::memory::MemoryStore;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tenancy = Tenancy::builder(MemoryStore::default()).without_background_work().build()?;
/// let document = multitenancy_axum::openapi(&tenancy, "/api/v1");
/// assert!(document.paths.paths.contains_key("/api/v1/auth/login"));
/// # Ok(())
/// # }
/// ```
pub fn openapi(tenancy: &Tenancy, prefix: &str) -> OpenApi {
    let mut endpoints = routes::documented().into_openapi();
    for operation in operations(&mut endpoints) {
        requests::describe(operation, tenancy.resolution());
        answers::describe_refusals(operation);
    }
    let prefix = Prefix::lenient(prefix);
    let mut document = head().nest(prefix.as_str(), endpoints);
    document.merge(system::documented().into_openapi());
    requests::describe_password(&mut document, tenancy.accounts().password_policy());
    for operation in operations(&mut document) {
        answers::complete(operation);
    }
    document
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    let methods = items.flat_map(|item| {
        let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
        [get, put, post, delete, options, head, patch, trace]
    });
    methods.flatten()
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

#[cfg(test)]
mod tests {
    use multitenancy_core::tenant::Resolution;
    use utoipa::openapi::{HttpMethod, PathsBuilder};

    use super::*;

    /// A method that is left out would be documented without refusals and without the tenant's header.
    #[test]
    fn openapi_describes_every_method() {
        use HttpMethod::{Delete, Get, Head, Options, Patch, Post, Put, Trace};
        let all = [Get, Put, Post, Delete, Options, Head, Patch, Trace];
        let paths = all.into_iter().fold(PathsBuilder::new(), |paths, method| {
            paths.path("/projects", PathItem::new(method, Operation::new()))
        });
        let mut document = OpenApi::new(head().info, paths);
        for operation in operations(&mut document) {
            requests::describe(operation, &Resolution::default());
            answers::describe_refusals(operation);
            answers::complete(operation);
        }
        let described: Vec<_> = operations(&mut document)
            .map(|operation| {
                (operation.parameters.is_some(), operation.responses.responses.contains_key("default"))
            })
            .collect();
        assert_eq!(described, [(true, true); 8]);
    }
}
