//! Runs the conformance suites on these adapters.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    fs,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use example_custom_adapter::{MeteredStore, SpoolMailer};
use multitenancy::{
    Result, Store,
    mail::{Mailer, Message},
    memory::MemoryStore,
};
use multitenancy_testkit::{Harness, MailFailure, MailerHarness, conformance_suite, mailer_suite};
use tempfile::TempDir;

conformance_suite!(Metered);
mailer_suite!(Spool::new());

struct Metered;

#[async_trait]
impl Harness for Metered {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MeteredStore::new(MemoryStore::default()))
    }
}

/// A spool whose directory can be moved away. It records the order of the messages.
#[derive(Clone)]
struct Spool {
    directory: Arc<TempDir>,
    mailer: SpoolMailer,
    next_failure: Arc<Mutex<Option<MailFailure>>>,
    keys: Arc<Mutex<Vec<String>>>,
}

impl Spool {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let from = "hello@example.com".parse().unwrap();
        Self {
            mailer: SpoolMailer::open(directory.path().join("spool"), from).unwrap(),
            directory: Arc::new(directory),
            next_failure: Arc::default(),
            keys: Arc::default(),
        }
    }
}

#[async_trait]
impl Mailer for Spool {
    async fn send(&self, message: &Message) -> Result<()> {
        let (here, away) = (self.directory.path().join("spool"), self.directory.path().join("away"));
        let failure = self.next_failure.lock().unwrap().take();
        let outcome = match failure {
            None => self.mailer.send(message).await,
            Some(MailFailure::Passing) => {
                fs::rename(&here, &away).unwrap();
                let outcome = self.mailer.send(message).await;
                fs::rename(&away, &here).unwrap();
                outcome
            }
            Some(MailFailure::Final) => {
                let refused = Message { subject: "two\nlines".to_owned(), ..message.clone() };
                self.mailer.send(&refused).await
            }
        };
        let mut keys = self.keys.lock().unwrap();
        if outcome.is_ok() && !keys.contains(&message.idempotency_key) {
            keys.push(message.idempotency_key.clone());
        }
        outcome
    }
}

#[async_trait]
impl MailerHarness for Spool {
    async fn open(&self) -> Arc<dyn Mailer> {
        Arc::new(self.clone())
    }

    async fn taken(&self) -> Vec<Message> {
        let keys = self.keys.lock().unwrap().clone();
        let files = fs::read_dir(self.directory.path().join("spool")).unwrap().count();
        assert_eq!(files, keys.len(), "one file per message");
        let read = |key: &String| parse(&fs::read_to_string(self.mailer.path(key)).unwrap(), key);
        keys.iter().map(read).collect()
    }

    async fn fail_next(&self, failure: MailFailure) {
        *self.next_failure.lock().unwrap() = Some(failure);
    }
}

/// Parses the message from its file.
fn parse(file: &str, key: &str) -> Message {
    let file = file.replace("\r\n", "\n");
    let (head, body) = file.split_once("\n\n").unwrap();
    let header = |name: &str| {
        let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap().to_owned()
    };
    let message =
        |text: &str| Message::new(header("To").parse().unwrap(), header("Subject"), text, key).unwrap();
    let content_type = header("Content-Type");
    let Some(boundary) = content_type.strip_prefix("multipart/alternative; boundary=\"") else {
        return message(body);
    };
    let boundary = format!("--{}", boundary.strip_suffix('"').unwrap());
    let parts: Vec<&str> = body.split(&boundary).collect();
    let [_, text, html, "--\n"] = parts[..] else {
        panic!("{parts:?}");
    };
    let content = |part: &str| part.split_once("\n\n").unwrap().1.strip_suffix('\n').unwrap().to_owned();
    message(&content(text)).with_html(content(html))
}
