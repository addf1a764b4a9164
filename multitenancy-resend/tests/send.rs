//! Tests for the requests to Resend, and for the error of each answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::time::Duration;

use multitenancy_core::{
    Error, ErrorKind,
    mail::{Mailer, Message},
};
use multitenancy_resend::{ResendMailer, ResendMailerBuilder};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

const KEY: &str = "re_canary_7f3a9c51d2e84b60";

fn builder(server: &MockServer) -> ResendMailerBuilder {
    ResendMailer::builder(KEY, "Acme <hello@example.com>").base_url(server.uri())
}

fn message() -> Message {
    let to = "ada@example.org".parse().unwrap();
    Message::new(to, "Welcome to Acme", "Hello Ada", "0193-event").unwrap()
}

async fn answering(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path("/emails")).respond_with(response).mount(&server).await;
    server
}

fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794" }))
}

fn refused(status: u16, name: &str) -> ResponseTemplate {
    let body = json!({ "statusCode": status, "name": name, "message": "Resend's own words" });
    ResponseTemplate::new(status).set_body_json(body)
}

/// The error of a send that gets this response.
async fn error_of(response: ResponseTemplate) -> Error {
    let server = answering(response).await;
    let error = builder(&server).build().unwrap().send(&message()).await.unwrap_err();
    assert_no_secret(&error);
    error
}

fn assert_no_secret(error: &Error) {
    for shown in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
        assert!(!shown.contains(KEY), "{shown}");
    }
}

#[tokio::test]
async fn mailer_sends_one_request_per_message() {
    let server = answering(accepted()).await;
    let mailer = builder(&server).build().unwrap();
    mailer.send(&message().with_html("<p>Hello Ada</p>")).await.unwrap();
    mailer.send(&message()).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let [first, second] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!((first.method.as_str(), first.url.path()), ("POST", "/emails"));
    let header = |name: &str| first.headers[name].to_str().unwrap();
    assert_eq!(header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(header("idempotency-key"), "0193-event");
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("multitenancy-resend/"));
    assert_eq!(
        first.body_json::<Value>().unwrap(),
        json!({
            "from": "Acme <hello@example.com>",
            "to": ["ada@example.org"],
            "subject": "Welcome to Acme",
            "text": "Hello Ada",
            "html": "<p>Hello Ada</p>",
        })
    );
    assert_eq!(second.body_json::<Value>().unwrap().get("html"), None);
}

#[test]
fn builder_defaults_to_the_public_api() {
    let mailer = ResendMailer::builder(KEY, "hello@example.com").build().unwrap();
    assert_eq!(
        format!("{mailer:?}"),
        "ResendMailer { endpoint: \"https://api.resend.com/emails\", from: \"hello@example.com\", .. }"
    );
}

#[tokio::test]
async fn each_answer_maps_to_an_error() {
    use ErrorKind::{Config, Conflict, Invalid, Overloaded, Unavailable};
    for (status, name, kind, code) in [
        (301, "", Config, "mail_misconfigured"),
        (400, "invalid_idempotency_key", Invalid, "mail_refused"),
        (400, "validation_error", Invalid, "mail_refused"),
        (401, "missing_api_key", Config, "mail_misconfigured"),
        (401, "restricted_api_key", Config, "mail_misconfigured"),
        (403, "invalid_api_key", Config, "mail_misconfigured"),
        (403, "suspended_api_key", Config, "mail_misconfigured"),
        (403, "validation_error", Config, "mail_misconfigured"),
        (404, "not_found", Config, "mail_misconfigured"),
        (405, "method_not_allowed", Config, "mail_misconfigured"),
        (408, "", Unavailable, "mail_unavailable"),
        (409, "concurrent_idempotent_requests", Unavailable, "mail_unavailable"),
        (409, "resource_locked", Unavailable, "mail_unavailable"),
        (409, "invalid_idempotent_request", Conflict, "mail_key_reused"),
        (422, "invalid_parameter", Invalid, "mail_refused"),
        (422, "missing_required_field", Invalid, "mail_refused"),
        (429, "rate_limit_exceeded", Overloaded, "overloaded"),
        (429, "daily_quota_exceeded", Overloaded, "overloaded"),
        (451, "security_error", Invalid, "mail_refused"),
        (500, "application_error", Unavailable, "mail_unavailable"),
        (502, "", Unavailable, "mail_unavailable"),
        (503, "service_unavailable", Unavailable, "mail_unavailable"),
    ] {
        let error = error_of(refused(status, name)).await;
        assert_eq!((error.kind(), error.code()), (kind, code), "{status} {name}");
        assert_eq!(error.is_retryable(), matches!(kind, Unavailable | Overloaded), "{status} {name}");
        let report = format!("{error:?}");
        assert!(
            report.contains(&format!("status=\"{status}\"")) && report.contains("Resend's own words"),
            "{report}"
        );
        assert!(!error.to_string().contains("Resend's own words"), "{error}");
    }
}

#[tokio::test]
async fn mailer_classifies_by_status_alone() {
    for body in ["", "<html>Bad gateway</html>", "[]", "{\"name\": 1}", "{\"mess"] {
        let error = error_of(ResponseTemplate::new(502).set_body_string(body)).await;
        assert_eq!(error.code(), "mail_unavailable", "{body}");
    }
    let server = answering(ResponseTemplate::new(200).set_body_string("{\"id\": \"49a")).await;
    builder(&server).build().unwrap().send(&message()).await.unwrap();
}

#[tokio::test]
async fn rate_limit_error_says_when_to_retry() {
    for (name, retry_after, seconds) in [
        ("rate_limit_exceeded", Some("7"), 7),
        ("rate_limit_exceeded", Some("0"), 0),
        ("rate_limit_exceeded", None, 1),
        ("rate_limit_exceeded", Some("Wed, 21 Oct 2026 07:28:00 GMT"), 1),
        ("rate_limit_exceeded", Some("-1"), 1),
        ("rate_limit_exceeded", Some("18446744073709551615"), 86_400),
        ("daily_quota_exceeded", None, 3600),
        ("monthly_quota_exceeded", None, 3600),
        ("daily_quota_exceeded", Some("60"), 60),
    ] {
        let mut response = refused(429, name);
        if let Some(value) = retry_after {
            response = response.insert_header("Retry-After", value);
        }
        let error = error_of(response).await;
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)), "{name} {retry_after:?}");
    }
}

#[tokio::test]
async fn mailer_does_not_throttle_bursts() {
    let server = answering(accepted()).await;
    let mailer = builder(&server).build().unwrap();
    let burst = async {
        for _ in 0..30 {
            mailer.send(&message()).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(5), burst).await.unwrap();
}

#[tokio::test]
async fn timeouts_and_closed_ports_are_retryable() {
    let server = answering(accepted().set_delay(Duration::from_secs(30))).await;
    let silent = builder(&server).timeout(Duration::from_millis(100));
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        builder(&server).base_url(format!("http://{address}"))
    };
    for mailer in [silent.build().unwrap(), closed.build().unwrap()] {
        let error = mailer.send(&message()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "mail_unavailable"));
        assert!(error.is_retryable());
        assert!(std::error::Error::source(&error).is_some());
        assert_no_secret(&error);
    }
}

#[tokio::test]
async fn redirects_do_not_receive_the_key() {
    let elsewhere = answering(accepted()).await;
    let location = format!("{}/emails", elsewhere.uri());
    for status in [301, 302, 307, 308] {
        let response = ResponseTemplate::new(status).insert_header("Location", location.as_str());
        assert_eq!(error_of(response).await.code(), "mail_misconfigured");
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn mailer_never_shows_the_key() {
    let server = answering(accepted()).await;
    let builder = builder(&server);
    assert!(!format!("{builder:#?}").contains(KEY));
    let mailer = builder.build().unwrap();
    assert!(!format!("{mailer:#?}").contains(KEY));

    // A server that echoes the key.
    let echo =
        json!({ "name": KEY, "message": format!("the API key {KEY} is invalid; \r\n{}", "x".repeat(9000)) });
    let report = format!("{:?}", error_of(ResponseTemplate::new(403).set_body_json(echo)).await);
    assert!(report.contains("[REDACTED] is invalid") && report.len() < 1000, "{report}");
    assert!(!report.contains(['\r', '\n']), "{report}");

    for wrong in ["", " ", "re_canary\r\nX-Evil: 1", "re_canary\0", "re_canary é", "re_canary "] {
        let error = ResendMailer::builder(wrong, "hello@example.com").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    // The two settings are swapped.
    let error = ResendMailer::builder("hello@example.com", KEY).build().unwrap_err();
    assert_no_secret(&error);
    let error = ResendMailer::builder(KEY, "hello@example.com").base_url(KEY).build().unwrap_err();
    assert_no_secret(&error);
}

/// The fields of a message are public, so a caller can bypass the checks of `Message::new`.
#[tokio::test]
async fn mailer_refuses_header_injection() {
    let server = answering(accepted()).await;
    let mailer = builder(&server).build().unwrap();
    let keys = ["", "a\r\nX-Evil: 1", "a\n", "a\0", "é", " a", "a ", &"k".repeat(257)];
    for key in keys {
        let message = Message { idempotency_key: key.to_owned(), ..message() };
        let error = mailer.send(&message).await.unwrap_err();
        assert_eq!(error.fields()[0].field, "idempotency_key", "{key:?}");
    }
    for subject in ["Hi\r\nBcc: eve@example.com", "Hi\nX", "Hi\0"] {
        let message = Message { subject: subject.to_owned(), ..message() };
        let error = mailer.send(&message).await.unwrap_err();
        assert_eq!(error.fields()[0].field, "subject", "{subject:?}");
        assert!(!error.is_retryable());
    }
    assert!(server.received_requests().await.unwrap().is_empty());

    let text = "first\r\n.\r\nBcc: eve@example.com";
    let body = Message { text: text.to_owned(), ..message() };
    mailer.send(&body).await.unwrap();
    let sent: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(sent["text"], text);
}
