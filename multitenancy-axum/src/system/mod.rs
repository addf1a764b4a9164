//! Endpoints for operators: liveness, readiness and the API documentation.

mod docs;
mod health;

use axum::Router;
use multitenancy_core::Tenancy;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::docs::docs;

/// `/health`, `/health/live` and `/health/ready`, to merge into a router of any state. They need no
/// tenant and no token.
pub fn health<S>(tenancy: &Tenancy) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (router, _) = documented().split_for_parts();
    router.with_state(tenancy.clone())
}

pub(crate) fn documented() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}
