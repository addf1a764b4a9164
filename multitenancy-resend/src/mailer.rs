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
/// A failure on the way (no connection, no answer in time) does not tell whether the message was taken. It is
/// retryable, and safe to retry: Resend remembers an idempotency key for 24 hours.
pub struct ResendMailer {
    pub(crate) client: Client,
    pub(crate) endpoint: Url,
    pub(crate) api_key: SecretString,
    pub(crate) from: String,
}

impl ResendMailer {
    /// A mailer that signs in with `api_key` and sends from `from`: an address of a domain that Resend has verified,
    /// plain or as `Name <address>`.
    pub fn builder(api_key: impl Into<SecretString>, from: impl Into<String>) -> ResendMailerBuilder {
        ResendMailerBuilder::new(api_key.into(), from.into())
    }
}

/// What Resend calls the parts of a message.
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
        // The fields of a message are public, so it may not have gone through `Message::new`.
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
        // The status alone says that the message was taken: a body that breaks off must not send it again.
        if response.status().is_success() {
            return Ok(());
        }
        Err(failure::read(response, &self.api_key).await)
    }
}

/// What the API and a header can carry exactly as it is: HTTP would trim blanks, and two keys would become one.
fn idempotency_key(message: &Message) -> Result<&str> {
    let key = message.idempotency_key.as_str();
    let fits = (1..=Message::MAX_KEY).contains(&key.len())
        && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && key.trim_ascii() == key;
    fits.then_some(key).ok_or_else(|| {
        Error::invalid_field(
            "idempotency_key",
            "key_invalid",
            "must have 1 to 256 ASCII characters, no control character, and no blank at an end",
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
