use std::time::Duration;

use multitenancy_core::{Error, ErrorKind};
use reqwest::{Response, header::HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// How much of a failure's body is read.
const LONGEST_BODY: usize = 16 * 1024;
/// How much of what Resend says goes into the report.
const LONGEST_QUOTE: usize = 300;
/// When to try again if Resend does not say: its rate is counted per second, its quotas per day and month.
const RATE_DELAY: Duration = Duration::from_secs(1);
const QUOTA_DELAY: Duration = Duration::from_secs(3600);
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);

/// What Resend says about a failure.
#[derive(Default, Deserialize)]
struct Reply {
    #[serde(default)]
    name: String,
    #[serde(default)]
    message: String,
}

/// The error that a reply means which is no success.
pub(crate) async fn read(mut response: Response, api_key: &SecretString) -> Error {
    let mut body = Vec::new();
    // A body that breaks off, or is no JSON, leaves the status to judge by.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_BODY {
            break;
        }
    }
    let reply: Reply = serde_json::from_slice(&body).unwrap_or_default();
    let status = response.status().as_u16();
    classify(status, &reply.name, response.headers())
        .with_context("status", status)
        .with_context("resend_error", quote(&reply.name, api_key))
        .with_context("resend_message", quote(&reply.message, api_key))
}

fn classify(status: u16, name: &str, headers: &HeaderMap) -> Error {
    match (status, name) {
        (429, _) => Error::overloaded("too much mail is being sent", delay(name, headers)),
        (408 | 500.., _) | (409, "concurrent_idempotent_requests" | "resource_locked") => {
            Error::new(ErrorKind::Unavailable, "mail_unavailable", "the mail provider can not take mail now")
        }
        (409, _) => {
            Error::new(ErrorKind::Conflict, "mail_key_reused", "a different mail was sent under this key")
        }
        // A key that is wrong or lacks a right, a domain that is not verified, an address that is not the API's.
        (300..=399 | 401 | 403..=405, _) => {
            Error::new(ErrorKind::Config, "mail_misconfigured", "the mail provider is not set up for this")
        }
        _ => Error::new(ErrorKind::Invalid, "mail_refused", "the mail provider refused the message"),
    }
}

fn delay(name: &str, headers: &HeaderMap) -> Duration {
    let seconds = |header: &str| headers.get(header)?.to_str().ok()?.trim().parse().ok();
    let otherwise = if name.ends_with("_quota_exceeded") { QUOTA_DELAY } else { RATE_DELAY };
    seconds("retry-after").map_or(otherwise, Duration::from_secs).min(LONGEST_DELAY)
}

/// What a remote side says, cut, and without the key, should it be echoed.
fn quote(text: &str, api_key: &SecretString) -> String {
    let text = text.replace(api_key.expose_secret(), "[REDACTED]");
    text.chars().take(LONGEST_QUOTE).collect()
}
