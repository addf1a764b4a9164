use std::{collections::BTreeSet, fmt, sync::LazyLock};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::document;

/// A request in the making.
#[must_use]
#[derive(Clone)]
pub struct Call {
    router: Router,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Call {
    pub fn new(router: Router, method: Method, path: impl Into<String>) -> Self {
        let (path, headers, body) = (path.into(), HeaderMap::new(), Vec::new());
        Self { router, method, path, headers, body }
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn tenant(self, key: impl ToString) -> Self {
        self.header("x-tenant-id", key.to_string())
    }

    /// Adds a header, beside one of the same name.
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    pub fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        request
    }

    pub async fn send(self) -> Answer {
        let line = format!("{} {}", self.method, self.path);
        let response = self.router.clone().oneshot(self.request()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { line, status: parts.status, headers: parts.headers, bytes }
    }

    /// Sends it, and expects a refusal with this status and code.
    pub async fn refused(self, status: u16, code: &str) -> Value {
        self.send().await.refused(status, code)
    }

    /// Sends it, and expects this status.
    pub async fn answered(self, status: u16) -> Value {
        self.send().await.expect(status)
    }
}

/// The codes in the document, and those of the applications in these tests.
static CODES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let document = document();
    let table = document["components"]["schemas"]["Problem"]["description"].as_str().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let own = ["trial_ended"];
    rows.map(|(code, _)| code).chain(own).map(str::to_owned).collect()
});

/// What came back.
#[derive(PartialEq)]
pub struct Answer {
    line: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// The body as JSON; null when there is none.
    pub fn json(&self) -> Value {
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self.json()
    }

    /// Checks everything that every refusal has (S109).
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header(header::CONTENT_TYPE.as_str()), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!((self.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert!(CODES.contains(code), "{code} is documented");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:problem:{code}"));
        assert!(body["title"].is_string() && body["detail"].is_string(), "{self:?}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        assert!(body["instance"].is_string(), "{self:?}");
        assert_eq!(self.headers.contains_key("www-authenticate"), status == 401, "{self:?}");
        assert_eq!(self.headers.contains_key("retry-after"), status == 503, "{self:?}");
        body
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.bytes);
        write!(f, "{} -> {} {:?} {body}", self.line, self.status, self.headers)
    }
}
