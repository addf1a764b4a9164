use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};

use super::{Problem, ProblemDocument};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

impl IntoResponse for Problem {
    /// Complete but for `instance` and `request_id`, which the outer layer adds: the problem is an extension of the answer.
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body(None, None));
        *response.status_mut() = self.0.status;
        self.write_headers(response.headers_mut());
        response.extensions_mut().insert(self);
        response
    }
}

impl Problem {
    fn body(&self, instance: Option<&str>, request_id: Option<&str>) -> Body {
        // Texts, numbers and lists of texts cannot fail to serialize.
        serde_json::to_vec(&ProblemDocument::new(self, instance, request_id)).unwrap_or_default().into()
    }

    fn write_headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, MEDIA_TYPE);
        if self.0.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.0.code {
                "invalid_token" => r#"Bearer error="invalid_token""#,
                _ => "Bearer",
            };
            headers.entry(WWW_AUTHENTICATE).or_insert(HeaderValue::from_static(challenge));
        }
        let wait = match (self.0.retry_after, self.0.status) {
            (Some(wait), _) => wait,
            (None, StatusCode::SERVICE_UNAVAILABLE) => Duration::from_secs(1),
            (None, _) => return,
        };
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Adds `instance` and `request_id` to a problem, and turns a bare error status into one: axum's own 404 and 405, and
/// handlers that answer with a status alone.
pub(crate) fn complete(response: &mut Response, instance: Option<&str>, request_id: &str) {
    let problem = response.extensions_mut().remove::<Problem>();
    let status = response.status();
    let headers = response.headers();
    let problem = match problem {
        // Encoded on the way: what would be put in its place is not.
        Some(_) if headers.contains_key(CONTENT_ENCODING) => return,
        Some(problem) => problem,
        None if !(status.is_client_error() || status.is_server_error()) => return,
        None if headers.contains_key(CONTENT_TYPE) || !response.body().is_end_stream() => return,
        None => Problem::of_status(status),
    };
    *response.body_mut() = problem.body(instance, Some(request_id));
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    problem.write_headers(headers);
}
