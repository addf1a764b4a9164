use async_trait::async_trait;

use super::{Mailer, Message};
use crate::error::Result;

/// Writes to the log that a mail would have been sent, and to whom; its text only at the level `debug`. The
/// default, until a provider is configured.
///
/// For development: its log holds the addresses of people, which no other line of this project does.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMailer;

#[async_trait]
impl Mailer for LogMailer {
    async fn send(&self, message: &Message) -> Result<()> {
        tracing::info!(to = %message.to, subject = message.subject, key = message.idempotency_key, "mail");
        tracing::debug!(key = message.idempotency_key, text = message.text, "mail text");
        Ok(())
    }
}
