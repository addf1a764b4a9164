use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use multitenancy_core::Tenancy;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{extract::Json, log::OneLine};

/// How long the store may take to answer.
const BOUND: Duration = Duration::from_secs(2);

/// How things stand.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct Body {
    /// `ok`, or `unavailable` when something that is needed does not answer.
    status: &'static str,
    version: &'static str,
    checks: Checks,
}

/// What is needed.
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
        (status = 200, description = "All is well.", body = Body),
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
/// As `/health`: whoever is not well wants no requests.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "ready",
    tag = "system",
    responses(
        (status = 200, description = "Send requests.", body = Body),
        (status = 503, description = "Send none: the store does not answer within 2 s.", body = Body),
    ),
    security(()),
)]
pub(crate) async fn ready(tenancy: State<Tenancy>) -> (StatusCode, Json<Body>) {
    health(tenancy).await
}

/// Whether a process is alive.
#[derive(Serialize, ToSchema)]
#[schema(as = Liveness)]
pub(crate) struct Liveness {
    /// Always `ok`.
    status: &'static str,
}

/// Liveness
///
/// Always 200: a process that can not answer this wants a restart, one whose store is away does not.
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
            tracing::warn!(error = %OneLine(&error), "the store can not be used");
            false
        }
        Err(_elapsed) => {
            tracing::warn!("the store does not answer");
            false
        }
    }
}
