//! The request at hand: its identifier and its span. Set by the layer, read by extractors.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts},
};
use multitenancy_core::{Environment, Plane, UserId, actor::RequestId};
use tracing::{Span, field};

/// The header in which a request may carry its identifier, and in which the answer has it.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The identifier and the span of a request, as an extension of it.
#[derive(Clone)]
pub(crate) struct RequestScope {
    pub id: RequestId,
    /// Shared: cloning a span itself goes through the subscriber.
    pub span: Arc<Span>,
}

impl RequestScope {
    pub fn open(request: &Request, environment: &Environment) -> Self {
        let id = carried_request_id(request.headers()).unwrap_or_else(|| RequestId::generate(environment));
        let route = request.extensions().get::<MatchedPath>();
        let span = tracing::info_span!(
            "request",
            method = method(request.method()),
            route = route.map_or("-", MatchedPath::as_str),
            request_id = id.as_str(),
            tenant = field::Empty,
            user = field::Empty,
        );
        Self { id, span: Arc::new(span) }
    }

    /// Names in the span, if there is one, the plane and the user that the request belongs to.
    pub fn record(parts: &Parts, plane: Plane, user: Option<UserId>) {
        let Some(Self { span, .. }) = parts.extensions.get() else { return };
        if span.is_disabled() {
            return;
        }
        span.record("tenant", field::display(plane));
        if let Some(user) = user {
            span.record("user", field::display(user));
        }
    }
}

/// The identifier that the layer has given the request; without the layer, the one it carries.
pub(crate) fn request_id(parts: &Parts) -> Option<RequestId> {
    match parts.extensions.get::<RequestScope>() {
        Some(scope) => Some(scope.id.clone()),
        None => carried_request_id(&parts.headers),
    }
}

/// The identifier that a request carries, if it is valid in logs as it is.
fn carried_request_id(headers: &HeaderMap) -> Option<RequestId> {
    let value = at_most_one(headers.get_all(X_REQUEST_ID).iter()).ok().flatten()?;
    RequestId::parse(value.to_str().ok()?)
}

/// A header that occurs more than once.
pub(crate) struct Repeated;

/// The value of a header that may occur once.
pub(crate) fn at_most_one<'a>(
    mut values: impl Iterator<Item = &'a HeaderValue>,
) -> Result<Option<&'a HeaderValue>, Repeated> {
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(Repeated),
    }
}

/// The method, of a bounded set: a client can make up its own.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
