use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use multitenancy_core::Tenancy;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{extract::Json, log::OneLine};

/// Time limit for the store to answer.
const BOUND: Duration = Duration::from_secs(2);

/// The status of the service.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct Body {
    /// `ok`, or `unavailable` when a dependency does not answer.
    status: &'static str,
    version: &'static str,
    checks: Checks,
}

/// The dependencies.
#[derive(Serialize, ToSchema)]
#[schema(as = HealthChecks)]
pub(crate) struct Checks {
    store: &'static str,
}

/// Health
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "system",
    responses(
        (status = 200, description = "The service and its dependencies answer.", body = Body),
        (status = 503, description = "The store does not answer within 2 s.", body = Body),
    ),
    security(()),
)]
pub(crate) async fn health(State(tenancy): State<Tenancy>) -> (StatusCode, Json<Body>) {
    let (code, status) = match store_answers(&tenancy).await {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = Body { status, version: env!("CARGO_PKG_VERSION"), checks: Checks { store: status } };
    (code, Json(body))
}

/// Readiness
///
/// As `/health`, for load balancers and orchestrators.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "ready",
    tag = "system",
    responses(
        (status = 200, description = "The service can take requests.", body = Body),
        (status = 503, description = "The service cannot take requests: the store does not answer within 2 s.", body = Body),
    ),
    security(()),
)]
pub(crate) async fn ready(tenancy: State<Tenancy>) -> (StatusCode, Json<Body>) {
    health(tenancy).await
}

/// The liveness of the process.
#[derive(Serialize, ToSchema)]
#[schema(as = Liveness)]
pub(crate) struct Liveness {
    /// Always `ok`.
    status: &'static str,
}

/// Liveness
///
/// Always 200 while the process answers. A store that is down needs no restart of the process.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "live",
    tag = "system",
    responses((status = 200, description = "The process answers.", body = Liveness)),
    security(()),
)]
pub(crate) async fn live() -> Json<Liveness> {
    Json(Liveness { status: "ok" })
}

async fn store_answers(tenancy: &Tenancy) -> bool {
    match tokio::time::timeout(BOUND, tenancy.store().ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(error = %OneLine(&error), "the store cannot be used");
            false
        }
        Err(_elapsed) => {
            tracing::warn!("the store does not answer");
            false
        }
    }
}
