//! Mail: a message, and the port that sends it.

mod log;

use async_trait::async_trait;

pub use self::log::LogMailer;
use crate::{
    error::{Error, Result},
    user::Email,
};

/// Sends mail.
///
/// # Behavior
/// 1. `Ok` means that the provider has taken the message, not that it has arrived.
/// 2. A second message with the same [`Message::idempotency_key`] is not sent again, as long as the provider
///    remembers the first.
/// 3. A failure that may pass (the provider is busy or out of reach) is [retryable](crate::Error::is_retryable);
///    one that can not pass (the message is refused) is not.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one message.
    async fn send(&self, message: &Message) -> Result<()>;
}

/// A message to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// To whom.
    pub to: Email,
    /// One line.
    pub subject: String,
    /// The body, as plain text.
    pub text: String,
    /// The body, as HTML.
    pub html: Option<String>,
    /// Sent once per key: the id of the event that causes the mail.
    pub idempotency_key: String,
}

impl Message {
    /// The longest key that providers accept.
    pub const MAX_KEY: usize = 256;

    /// A plain text message, sent once per `idempotency_key`.
    ///
    /// A subject of more than one line, and an empty or overlong key, are refused.
    pub fn new(
        to: Email,
        subject: impl Into<String>,
        text: impl Into<String>,
        idempotency_key: impl Into<String>,
    ) -> Result<Self> {
        let (subject, idempotency_key) = (subject.into(), idempotency_key.into());
        if subject.chars().any(char::is_control) {
            return Err(Error::invalid_field("subject", "control_characters", "must be one line"));
        }
        if !(1..=Self::MAX_KEY).contains(&idempotency_key.len()) {
            return Err(Error::invalid_field("idempotency_key", "key_invalid", "must have 1 to 256 bytes"));
        }
        Ok(Self { to, subject, text: text.into(), html: None, idempotency_key })
    }

    /// Adds the body as HTML.
    #[must_use]
    pub fn with_html(mut self, html: impl Into<String>) -> Self {
        self.html = Some(html.into());
        self
    }
}
