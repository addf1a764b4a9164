//! The framework's endpoints, one file each: request, answer, documentation, handler. The rules are in
//! `multitenancy-core`; a handler translates.

mod auth;
mod organizations;
mod tenants;
mod users;

use axum::{Router, extract::DefaultBodyLimit};
use multitenancy_core::Tenancy;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{layer::RequestLayer, problem::Problem, schema::BODY_LIMIT};

/// The framework's endpoints, to nest into a router of any state, under any path:
///
/// ```
/// use axum::Router;
/// use multitenancy_axum::Tenancy;
///
/// fn app(tenancy: &Tenancy) -> Router {
///     Router::new().nest("/api/v1", multitenancy_axum::routes(tenancy))
/// }
/// ```
///
/// They include the [`RequestLayer`]. Wrap the whole router in it to have it for your own routes too.
pub fn routes<S>(tenancy: &Tenancy) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let limit = DefaultBodyLimit::max(BODY_LIMIT);
    bare(tenancy).layer((RequestLayer::new(tenancy), limit))
}

/// The endpoints without any layer.
pub(crate) fn bare<S>(tenancy: &Tenancy) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (router, _) = documented().split_for_parts();
    router.fallback(async || Problem::not_found()).with_state(tenancy.clone())
}

/// The endpoints and their documentation, from one declaration.
pub(crate) fn documented() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(auth::register::handler))
        .routes(routes!(auth::login::handler))
        .routes(routes!(auth::refresh::handler))
        .routes(routes!(auth::logout::handler))
        .routes(routes!(auth::switch::handler))
        .routes(routes!(users::read_me::handler, users::update_me::handler))
        .routes(routes!(organizations::create::handler))
        .routes(routes!(organizations::list_own::handler))
        .routes(routes!(organizations::read::handler))
        .routes(routes!(tenants::suspend::handler))
        .routes(routes!(tenants::activate::handler))
        .routes(routes!(tenants::cancel::handler))
}
