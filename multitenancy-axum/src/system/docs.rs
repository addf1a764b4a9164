use axum::{
    Router,
    body::Bytes,
    http::{
        HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use multitenancy_core::Tenancy;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{openapi::openapi, problem::Problem};

const JSON: &str = "/openapi.json";

/// Swagger UI from this origin alone: no script, style or badge of anybody else's. It writes styles into its page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

/// `/openapi.json`, `/openapi.yaml` and `/docs`, of endpoints that are nested under `prefix`: to merge into a router of
/// any state, at its root. The document is written once.
///
/// ```
/// use axum::Router;
/// use multitenancy_axum::{RequestLayer, Tenancy, docs, health, routes};
///
/// fn app(tenancy: &Tenancy) -> Router {
///     Router::new()
///         .nest("/v2", routes(tenancy))
///         .merge(health(tenancy))
///         .merge(docs(tenancy, "/v2"))
///         .layer(RequestLayer::new(tenancy))
/// }
/// ```
pub fn docs<S>(tenancy: &Tenancy, prefix: &str) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let document = openapi(tenancy, prefix);
    Router::new()
        .route(JSON, serve("application/json", document.to_json()))
        .route("/openapi.yaml", serve("application/yaml", document.to_yaml()))
        .merge(ui())
}

fn serve<S, E>(media_type: &'static str, text: Result<String, E>) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    match text {
        Ok(text) => {
            let text = Bytes::from(text);
            get(async move || ([(CONTENT_TYPE, media_type)], text.clone()))
        }
        Err(error) => {
            let problem = Problem::from(error);
            get(async move || problem.clone())
        }
    }
}

fn ui<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let config = Config::from(JSON).validator_url("none");
    Router::from(SwaggerUi::new("/docs").config(config)).layer(axum::middleware::map_response(
        async |mut response: Response| {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
            response.into_response()
        },
    ))
}
