use std::time::Duration;

use axum::{Router, extract::DefaultBodyLimit};
use multitenancy_core::{Result, Tenancy};

use crate::{layer::RequestLayer, prefix::Prefix, problem::Problem, routes, schema::BODY_LIMIT, system};

/// What [`app_with`] serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppConfig {
    /// The path the endpoints are nested under. Default `/api/v1`.
    pub prefix: String,
    /// Whether `/docs`, `/openapi.json` and `/openapi.yaml` are served. Default `true`.
    pub docs: bool,
    /// How long a handler may take to answer. Default 30 s.
    pub timeout: Duration,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self { prefix: "/api/v1".to_owned(), docs: true, timeout: RequestLayer::TIMEOUT }
    }
}

/// The whole application: the framework's endpoints under `/api/v1`, `/health`, `/docs`, and a
/// [`RequestLayer`] around them.
///
/// ```no_run
/// use multitenancy_axum::Tenancy;
/// use multitenancy_core::memory::MemoryStore;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tenancy = Tenancy::builder(MemoryStore::default()).build()?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, multitenancy_axum::app(&tenancy)).await?;
/// # Ok(())
/// # }
/// ```
pub fn app(tenancy: &Tenancy) -> Router {
    let config = AppConfig::default();
    assemble(tenancy, &Prefix::lenient(&config.prefix), &config)
}

/// The whole application, as configured. A prefix that is no path is an error.
pub fn app_with(tenancy: &Tenancy, config: &AppConfig) -> Result<Router> {
    Ok(assemble(tenancy, &Prefix::parse(&config.prefix)?, config))
}

fn assemble(tenancy: &Tenancy, prefix: &Prefix, config: &AppConfig) -> Router {
    let mut router = match prefix.as_str() {
        "" => routes::bare(tenancy),
        prefix => Router::new().nest(prefix, routes::bare(tenancy)),
    };
    router = router.merge(system::health(tenancy));
    if config.docs {
        router = router.merge(system::docs(tenancy, prefix.as_str()));
    }
    let layer = RequestLayer::with_timeout(tenancy, config.timeout);
    let limit = DefaultBodyLimit::max(BODY_LIMIT);
    router.fallback(async || Problem::not_found()).layer((layer, limit))
}
