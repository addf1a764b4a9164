//! Runs the conformance suite against a fake Resend, which remembers keys like the real one.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use multitenancy_core::mail::{Mailer, Message};
use multitenancy_resend::ResendMailer;
use multitenancy_testkit::{MailFailure, MailerHarness, mailer_suite};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

mailer_suite!(Resend::default());

#[derive(Default)]
struct Resend {
    account: Account,
    server: OnceLock<MockServer>,
}

/// The state of the fake Resend. Clones share it.
#[derive(Clone, Default)]
struct Account(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: Vec<(String, Value)>,
    next_failure: Option<MailFailure>,
}

impl Respond for Account {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        let failure = |status: u16, name: &str| {
            let body = json!({ "statusCode": status, "name": name, "message": "no" });
            ResponseTemplate::new(status).set_body_json(body)
        };
        match state.next_failure.take() {
            Some(MailFailure::Passing) => return failure(429, "rate_limit_exceeded"),
            Some(MailFailure::Final) => return failure(422, "invalid_parameter"),
            None => {}
        }
        let key = request.headers["idempotency-key"].to_str().unwrap().to_owned();
        let mail: Value = request.body_json().unwrap();
        match state.taken.iter().find(|(taken, _)| *taken == key) {
            Some((_, first)) if *first != mail => return failure(409, "invalid_idempotent_request"),
            Some(_) => {}
            None => state.taken.push((key, mail)),
        }
        ResponseTemplate::new(200).set_body_json(json!({ "id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794" }))
    }
}

#[async_trait]
impl MailerHarness for Resend {
    async fn open(&self) -> Arc<dyn Mailer> {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(self.account.clone()).mount(&server).await;
        let mailer =
            ResendMailer::builder("re_key", "hello@example.com").base_url(server.uri()).build().unwrap();
        assert!(self.server.set(server).is_ok(), "opened once");
        Arc::new(mailer)
    }

    async fn taken(&self) -> Vec<Message> {
        let state = self.account.0.lock().unwrap();
        let messages = state.taken.iter().map(|(key, mail)| {
            let text = |name: &str| mail[name].as_str().map(str::to_owned);
            let to = mail["to"][0].as_str().unwrap().parse().unwrap();
            let message = Message::new(to, text("subject").unwrap(), text("text").unwrap(), key).unwrap();
            Message { html: text("html"), ..message }
        });
        messages.collect()
    }

    async fn fail_next(&self, failure: MailFailure) {
        self.account.0.lock().unwrap().next_failure = Some(failure);
    }
}
