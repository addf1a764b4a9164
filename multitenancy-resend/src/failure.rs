use std::time::Duration;

use multitenancy_core::{Error, ErrorKind};
use reqwest::{Response, header::HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Bytes that are read of an error's body.
const LONGEST_BODY: usize = 16 * 1024;
/// Characters of Resend's message that the report shows.
const LONGEST_QUOTE: usize = 300;
/// The delays before a retry if Resend names none: its rate is per second, its quotas are per day and month.
const RATE_DELAY: Duration = Duration::from_secs(1);
const QUOTA_DELAY: Duration = Duration::from_secs(3600);
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);

/// The body of Resend's error.
#[derive(Default, Deserialize)]
struct Reply {
    #[serde(default)]
    name: String,
    #[serde(default)]
    message: String,
}

/// Converts a reply without success into an error.
pub(crate) async fn read(mut response: Response, api_key: &SecretString) -> Error {
    let mut body = Vec::new();
    // If the body is incomplete or not JSON, the status decides alone.
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
            Error::new(ErrorKind::Unavailable, "mail_unavailable", "the mail provider cannot accept mail now")
        }
        (409, _) => {
            Error::new(ErrorKind::Conflict, "mail_key_reused", "a different mail was sent with this key")
        }
        // The key is wrong or has too few permissions, the domain is not verified, or the base URL is not the API's.
        (300..=399 | 401 | 403..=405, _) => {
            Error::new(ErrorKind::Config, "mail_misconfigured", "the mail provider is misconfigured")
        }
        _ => Error::new(ErrorKind::Invalid, "mail_refused", "the mail provider refused the message"),
    }
}

fn delay(name: &str, headers: &HeaderMap) -> Duration {
    let seconds = |header: &str| headers.get(header)?.to_str().ok()?.trim().parse().ok();
    let otherwise = if name.ends_with("_quota_exceeded") { QUOTA_DELAY } else { RATE_DELAY };
    seconds("retry-after").map_or(otherwise, Duration::from_secs).min(LONGEST_DELAY)
}

/// The text of the provider, shortened. The API key in it is redacted, because the provider may echo it.
fn quote(text: &str, api_key: &SecretString) -> String {
    let text = text.replace(api_key.expose_secret(), "[REDACTED]");
    text.chars().take(LONGEST_QUOTE).collect()
}
