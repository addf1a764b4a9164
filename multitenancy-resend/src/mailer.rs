use std::fmt;

use async_trait::async_trait;
use multitenancy_core::{
    Error, ErrorKind, Result,
    mail::{Mailer, Message},
};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{builder::ResendMailerBuilder, failure};

/// Sends mail through [Resend](https://resend.com).
///
/// After a connection failure or a timeout, the message may or may not have been accepted. The error is retryable, and a
/// retry is safe: Resend remembers an idempotency key for 24 hours.
pub struct ResendMailer {
    pub(crate) client: Client,
    pub(crate) endpoint: Url,
    pub(crate) api_key: SecretString,
    pub(crate) from: String,
}

impl ResendMailer {
    /// Starts a mailer that authenticates with `api_key`. The sender `from` is `address` or `Name <address>`, and Resend
    /// must have verified its domain.
    pub fn builder(api_key: impl Into<SecretString>, from: impl Into<String>) -> ResendMailerBuilder {
        ResendMailerBuilder::new(api_key.into(), from.into())
    }
}

/// The body of Resend's request.
#[derive(Serialize)]
struct Request<'a> {
    from: &'a str,
    to: [&'a str; 1],
    subject: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
}

#[async_trait]
impl Mailer for ResendMailer {
    async fn send(&self, message: &Message) -> Result<()> {
        let key = idempotency_key(message)?;
        // The fields of a message are public, so a caller can bypass the checks of `Message::new`.
        if message.subject.chars().any(char::is_control) {
            return Err(Error::invalid_field("subject", "control_characters", "must be one line"));
        }
        let request = Request {
            from: &self.from,
            to: [message.to.as_str()],
            subject: &message.subject,
            text: &message.text,
            html: message.html.as_deref(),
        };
        let response = self
            .client
            .post(self.endpoint.clone())
            .bearer_auth(self.api_key.expose_secret())
            .header("Idempotency-Key", key)
            .json(&request)
            .send()
            .await
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "mail_unavailable", "the mail provider does not answer")
                    .with_source(error)
            })?;
        // The status decides alone: an incomplete body must not cause a second send.
        if response.status().is_success() {
            return Ok(());
        }
        Err(failure::read(response, &self.api_key).await)
    }
}

/// The key, if a header carries it unchanged. HTTP trims blanks, which would make two keys equal.
fn idempotency_key(message: &Message) -> Result<&str> {
    let key = message.idempotency_key.as_str();
    let fits = (1..=Message::MAX_KEY).contains(&key.len())
        && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && key.trim_ascii() == key;
    fits.then_some(key).ok_or_else(|| {
        Error::invalid_field(
            "idempotency_key",
            "key_invalid",
            "must have 1 to 256 ASCII characters, no control character, and no blank at the start or the end",
        )
    })
}

impl fmt::Debug for ResendMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResendMailer")
            .field("endpoint", &self.endpoint.as_str())
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}
