//! A mailer that remembers, and the clauses of [`Mailer`]: the cases of [`mailer_suite!`](crate::mailer_suite).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use multitenancy_core::{
    Error, ErrorKind, Result,
    mail::{Mailer, Message},
};

use crate::{failure, fixtures::email};

/// Opens mailers for [`mailer_suite!`](crate::mailer_suite), and stands for their provider.
#[async_trait]
pub trait MailerHarness: Send + Sync {
    /// A mailer of this provider.
    async fn open(&self) -> Arc<dyn Mailer>;

    /// What the provider has taken and will deliver, in its order.
    async fn taken(&self) -> Vec<Message>;

    /// Makes the provider fail at the next message, once.
    async fn fail_next(&self, failure: MailFailure);
}

/// How a provider fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailFailure {
    /// It is busy: another time it takes the message.
    Passing,
    /// It refuses the message, now and ever.
    Final,
}

/// Keeps messages instead of sending them, each key once. Clones share what they keep.
#[derive(Debug, Clone, Default)]
pub struct MemoryMailer(Arc<Mutex<Provider>>);

#[derive(Debug, Default)]
struct Provider {
    sent: Vec<Message>,
    attempts: usize,
    failures: VecDeque<MailFailure>,
}

impl MemoryMailer {
    /// What was sent, in its order.
    pub fn sent(&self) -> Vec<Message> {
        self.provider().sent.clone()
    }

    /// How often somebody tried to send, with or without success.
    pub fn attempts(&self) -> usize {
        self.provider().attempts
    }

    /// Fails at the next message. Several failures come one after the other.
    pub fn fail_next(&self, failure: MailFailure) {
        self.provider().failures.push_back(failure);
    }

    fn provider(&self) -> MutexGuard<'_, Provider> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, message: &Message) -> Result<()> {
        let mut provider = self.provider();
        provider.attempts += 1;
        match provider.failures.pop_front() {
            Some(MailFailure::Passing) => {
                return Err(Error::overloaded("the mail provider is busy", Duration::from_secs(1)));
            }
            Some(MailFailure::Final) => {
                return Err(Error::new(ErrorKind::Invalid, "mail_refused", "the mail provider refuses this"));
            }
            None => {}
        }
        if provider.sent.iter().all(|sent| sent.idempotency_key != message.idempotency_key) {
            provider.sent.push(message.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl MailerHarness for MemoryMailer {
    async fn open(&self) -> Arc<dyn Mailer> {
        Arc::new(self.clone())
    }

    async fn taken(&self) -> Vec<Message> {
        self.sent()
    }

    async fn fail_next(&self, failure: MailFailure) {
        Self::fail_next(self, failure);
    }
}

/// `Mailer` 1: `Ok` means that the provider has taken the message, as it is.
pub async fn send_1_hands_the_message_over(harness: &dyn MailerHarness) {
    let mailer = harness.open().await;
    let plain = message("plain");
    let html = Message::new(
        email("Ada.L+news@Example.com"),
        "Grüße <b>& 日本</b> 👩‍💻",
        "line one\nline two\n\n\"quoted\" \\ <tag> &amp;\n",
        "019a0000-0000-7000-8000-000000000001",
    );
    let html = html.unwrap().with_html("<p class=\"a\">Grüße &amp; 日本</p>\n");
    mailer.send(&plain).await.unwrap();
    mailer.send(&html).await.unwrap();
    assert_eq!(harness.taken().await, [plain, html]);
}

/// `Mailer` 2: a second message with the same key is not sent again, and that is no failure.
pub async fn send_2_sends_each_key_once(harness: &dyn MailerHarness) {
    let mailer = harness.open().await;
    for _ in 0..3 {
        mailer.send(&message("one")).await.unwrap();
    }
    mailer.send(&message("two")).await.unwrap();
    mailer.send(&message("one")).await.unwrap();
    assert_eq!(harness.taken().await, [message("one"), message("two")]);
}

/// `Mailer` 3: a failure that may pass is retryable; the message is sent at the next try, once.
pub async fn send_3_a_passing_failure_is_retryable(harness: &dyn MailerHarness) {
    let mailer = harness.open().await;
    harness.fail_next(MailFailure::Passing).await;
    let error = failure(mailer.send(&message("one")).await);
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(harness.taken().await, []);
    mailer.send(&message("one")).await.unwrap();
    assert_eq!(harness.taken().await, [message("one")]);
}

/// `Mailer` 3: a failure that can not pass is not retryable, and does not stand in the way of the next message.
pub async fn send_3_a_final_failure_is_not_retryable(harness: &dyn MailerHarness) {
    let mailer = harness.open().await;
    harness.fail_next(MailFailure::Final).await;
    let error = failure(mailer.send(&message("one")).await);
    assert!(!error.is_retryable(), "{error:?}");
    mailer.send(&message("two")).await.unwrap();
    assert_eq!(harness.taken().await, [message("two")]);
}

fn message(key: &str) -> Message {
    Message::new(email("ada@example.com"), "Hello", "Hello.\n", key).unwrap()
}
