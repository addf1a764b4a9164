use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::http::Method;
use serde_json::json;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{PASSWORD, SECRET, World, probe::Probe};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(Level::TRACE)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// S114: not at the lowest level does a log tell a password, a token, the secret of the tokens or an address, neither of
/// requests that are answered or refused nor of those that fail.
#[tokio::test]
async fn s114_log_has_no_secret() {
    let log = Log::default();
    let _listening = log.listen();
    let (api, probe) = Probe::api(|builder| builder);
    let World { api, ada, bob, ada_in_acme, carol_in_acme, .. } = World::of(api).await;
    let refresh = json!({ "refresh_token": carol_in_acme.refresh });
    let renewed = api.post("/auth/refresh").json(refresh.clone()).answered(200).await;
    api.post("/auth/refresh").json(refresh).refused(401, "invalid_refresh_token").await;
    api.get("/users/me").token("eyJcanary.eyJcanary.canary").refused(401, "invalid_token").await;
    api.get("/users/me").header("authorization", "Basic canary").refused(401, "invalid_token").await;
    let wrong = json!({ "email": "ada@example.com", "password": "canary in a cage 1" });
    api.post("/auth/login").json(wrong).refused(401, "invalid_credentials").await;
    let wrong = json!({ "email": "ada@example.com", "password": 4_815_162_342_u64 });
    api.post("/auth/login").json(wrong).refused(422, "validation_failed").await;
    let in_query = format!("/api/v1/users/me?token={}&canary", ada.access);
    api.call(Method::GET, in_query).token(&ada.access).header("cookie", "canary").answered(200).await;
    api.post("/auth/logout").token(&bob.access).answered(204).await;
    probe.break_down();
    api.turn_clock(2);
    let person = json!({ "email": "ada@example.com", "password": PASSWORD });
    api.post("/auth/register").json(person.clone()).refused(500, "internal_error").await;
    api.post("/auth/login").json(person).refused(500, "internal_error").await;
    let refresh = json!({ "refresh_token": renewed["refresh_token"] });
    api.post("/auth/refresh").json(refresh).refused(500, "internal_error").await;
    for signed in [&ada, &ada_in_acme, &carol_in_acme] {
        api.get("/users/me").token(&signed.access).refused(500, "internal_error").await;
    }

    let log = log.text();
    assert!(log.contains("request answered") && log.contains("tenant=") && log.contains("user="), "{log}");
    let mut secrets = vec![PASSWORD, SECRET, "canary", "4815162342", "argon2id$", "@example.com"];
    for signed in [&ada, &bob, &ada_in_acme, &carol_in_acme] {
        secrets.extend([signed.access.as_str(), signed.refresh.as_str()]);
    }
    secrets.extend([renewed["access_token"].as_str().unwrap(), renewed["refresh_token"].as_str().unwrap()]);
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// S113: whatever a client or a database says, a log line is one line, without control characters.
#[tokio::test]
async fn s113_log_line_cannot_be_forged() {
    let log = Log::default();
    let _listening = log.listen();
    let (api, probe) = Probe::api(|builder| builder);
    let hostile = "a\r\nERROR forged\u{1b}[2J\0\u{202e}b";
    let person = json!({ "email": hostile, "password": hostile, "full_name": hostile });
    api.post("/auth/register").json(person).refused(422, "validation_failed").await;
    api.post("/auth/login").json(json!({ hostile: 1 })).refused(422, "validation_failed").await;
    let valid = json!({ "email": "a@example.com", "password": PASSWORD, "full_name": hostile });
    api.post("/auth/register").json(valid).refused(422, "validation_failed").await;
    api.get("/organizations/%0d%0aERROR%20forged%1b[2J").refused(401, "unauthenticated").await;
    for name in ["x-tenant-id", "x-request-id", "user-agent", "host", "x-forwarded-for"] {
        api.get("/users/me").header(name, b"tab\tand \xe2\x80\xae ERROR forged\xff").send().await;
    }
    let odd = Method::from_bytes(b"FORGED").unwrap();
    api.call(odd, "/api/v1/users/me").refused(405, "method_not_allowed").await;
    probe.break_down();
    let person = json!({ "email": "a@example.com", "password": PASSWORD });
    api.post("/auth/login").json(person).refused(500, "internal_error").await;

    let log = log.text();
    assert!(log.contains("constraint failed: secret.sql"), "the cause is in the log: {log}");
    for line in log.lines() {
        let hostile = |char: char| char.is_control() || ('\u{202a}'..='\u{202e}').contains(&char);
        assert!(!line.contains(hostile), "{line:?}");
        assert!(line.as_bytes().starts_with(b"20"), "every line begins with its time: {line:?}");
    }
}
