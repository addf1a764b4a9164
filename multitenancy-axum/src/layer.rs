//! One layer for every request: an identifier, a span, a time limit, and complete answers with security headers.

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::{OriginalUri, Request},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
        header::{
            AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt, future::BoxFuture};
use multitenancy_core::{Environment, Tenancy, actor::RequestId, environment::monotonic};
use tower::{Layer, Service};
use tracing::{Instrument, Span};

use crate::{
    log::OneLine,
    problem::{self, Problem},
    request_scope::{RequestScope, X_REQUEST_ID},
};

/// Wraps a router, the framework's or the application's own:
///
/// * **Identifier**: a valid `X-Request-Id` is kept, else one is generated. It is in the answer, in problems, in the span,
///   and in the events of the request.
/// * **Span** `request` with `method`, `route`, `request_id`, and `tenant` and `user` once they are known. It never
///   has text of a header or a body.
/// * **Bounds**: 503 `timeout` when a handler takes longer than 30 s to answer; 414 `uri_too_long` over 8 KiB of path
///   and query, and 431 `headers_too_large` over 16 KiB of headers, before any handler runs (E19).
/// * **Panic**: 500 `internal_error`; the process continues (E9).
/// * **Problems** are completed, and errors without a body become problems (S109).
/// * **Headers**: `Cache-Control: no-store` unless the handler says otherwise, `Vary` (E17), and the security headers.
///
/// Inside another one it does nothing, so it can wrap a router whose parts already have it.
///
/// ```
/// use axum::{Router, routing::get};
/// use multitenancy_axum::{RequestLayer, Tenancy};
///
/// fn app(tenancy: &Tenancy) -> Router {
///     Router::new()
///         .route("/projects", get(|| async { "none yet" }))
///         .nest("/api/v1", multitenancy_axum::routes(tenancy))
///         .layer(RequestLayer::new(tenancy))
/// }
/// ```
#[derive(Clone)]
pub struct RequestLayer {
    settings: Arc<Settings>,
}

struct Settings {
    environment: Environment,
    timeout: Duration,
    vary: HeaderValue,
}

impl RequestLayer {
    /// Time limit for a handler: 30 s.
    pub const TIMEOUT: Duration = Duration::from_secs(30);
    /// The longest path and query: 8 KiB.
    pub const MAX_URI_BYTES: usize = 8 * 1024;
    /// The largest sum of the names and values of all headers: 16 KiB.
    pub const MAX_HEADER_BYTES: usize = 16 * 1024;

    /// The layer for an application.
    pub fn new(tenancy: &Tenancy) -> Self {
        Self::with_timeout(tenancy, Self::TIMEOUT)
    }

    /// The layer with another time limit for a handler. A streamed body is limited until it begins.
    pub fn with_timeout(tenancy: &Tenancy, timeout: Duration) -> Self {
        let headers = tenancy.resolution().headers.iter().map(String::as_str);
        let vary = ["authorization", "host"].into_iter().chain(headers).collect::<Vec<_>>().join(", ");
        let vary = HeaderValue::try_from(vary);
        Self {
            settings: Arc::new(Settings {
                environment: tenancy.environment().clone(),
                timeout,
                vary: vary.unwrap_or(HeaderValue::from_static("*")),
            }),
        }
    }
}

impl std::fmt::Debug for RequestLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestLayer").field("timeout", &self.settings.timeout).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> RequestService<S> {
        RequestService { inner, settings: self.settings.clone() }
    }
}

/// A service in a [`RequestLayer`].
#[derive(Clone)]
pub struct RequestService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> std::fmt::Debug for RequestService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestService").finish_non_exhaustive()
    }
}

impl<S> Service<Request> for RequestService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if request.extensions().get::<RequestScope>().is_some() {
            return Box::pin(self.inner.call(request));
        }
        let settings = self.settings.clone();
        let scope = RequestScope::open(&request, &settings.environment);
        let uri = uri(&request);
        let fits = head_fits(&uri, request.headers());
        hide_credentials(request.headers_mut());
        request.extensions_mut().insert(scope.clone());

        let span = Span::clone(&scope.span);
        let started = monotonic();
        // Boxed at once: a service's future is large, and would be moved several times.
        let answer = fits.map(|()| {
            span.in_scope(|| catch_unwind(AssertUnwindSafe(|| Box::pin(self.inner.call(request)))))
        });
        let answering = async move {
            let mut response = match answer {
                Err(status) => Problem::of_status(status).into_response(),
                Ok(Err(panic)) => panicked(&*panic),
                Ok(Ok(answer)) => {
                    let answer = AssertUnwindSafe(answer).catch_unwind();
                    match tokio::time::timeout(settings.timeout, answer).await {
                        Ok(Ok(Ok(response))) => response,
                        Ok(Ok(Err(never))) => match never {},
                        Ok(Err(panic)) => panicked(&*panic),
                        Err(_elapsed) => timed_out(),
                    }
                }
            };
            // A path that is too long is not repeated in the answer.
            let instance = (fits != Err(StatusCode::URI_TOO_LONG)).then(|| uri.path());
            problem::complete(&mut response, instance, scope.id.as_str());
            write_headers(response.headers_mut(), &scope.id, &settings.vary);
            if !scope.span.is_disabled() {
                let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                tracing::info!(status = response.status().as_u16(), micros, "request answered");
            }
            Ok(response)
        };
        Box::pin(answering.instrument(span))
    }
}

/// The requested URI, before nesting has cut its prefix.
fn uri(request: &Request) -> Uri {
    match request.extensions().get::<OriginalUri>() {
        Some(OriginalUri(uri)) => uri.clone(),
        None => request.uri().clone(),
    }
}

/// Refuses an oversized head early: the server itself bounds a head by its buffer only.
fn head_fits(uri: &Uri, headers: &HeaderMap) -> Result<(), StatusCode> {
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > RequestLayer::MAX_URI_BYTES) {
        return Err(StatusCode::URI_TOO_LONG);
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > RequestLayer::MAX_HEADER_BYTES {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    Ok(())
}

/// Keeps credentials out of `Debug` and out of the compression tables of HTTP/2.
fn hide_credentials(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, COOKIE] {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    tracing::error!(panic = %OneLine(text), "handler panicked");
    Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

fn timed_out() -> Response {
    tracing::warn!("handler took too long");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", "the request took too long").into_response()
}

/// `frame-ancestors` replaces `X-Frame-Options`. API answers send no referrer, so they need no `Referrer-Policy`.
const PROTECTIVE: [(HeaderName, HeaderValue); 3] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

fn write_headers(headers: &mut HeaderMap, id: &RequestId, vary: &HeaderValue) {
    headers.reserve(PROTECTIVE.len() + 2);
    for (name, value) in PROTECTIVE {
        headers.entry(name).or_insert(value);
    }
    headers.append(VARY, vary.clone());
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(X_REQUEST_ID, id);
    }
}
