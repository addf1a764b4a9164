//! Tests for the behaviour of these adapters that no clause of a port covers.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    fs,
    sync::{Arc, Mutex},
};

use example_custom_adapter::{MeteredStore, Outcomes, SequentialBus, SpoolMailer};
use multitenancy::{
    Context, ControlContext, Error, ErrorKind, Plane, Store, Tenancy,
    account::Registration,
    bus::{Delivery, EventBus, Subscription},
    mail::{Mailer, Message},
    memory::MemoryStore,
};

fn message(key: &str) -> Message {
    Message::new("ada@example.org".parse().unwrap(), "Grüße", "one\ntwo\r\nthree", key).unwrap()
}

fn spool() -> (tempfile::TempDir, SpoolMailer) {
    let directory = tempfile::tempdir().unwrap();
    let mailer =
        SpoolMailer::open(directory.path().join("spool"), "hello@example.com".parse().unwrap()).unwrap();
    (directory, mailer)
}

/// The names in the spool.
fn names(mailer: &SpoolMailer) -> Vec<String> {
    let directory = mailer.path("any").parent().unwrap().to_owned();
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn mailer_writes_one_file_per_message() {
    let (_directory, mailer) = spool();
    mailer.send(&message("0193-event").with_html("<p>one</p>")).await.unwrap();
    let text = fs::read_to_string(mailer.path("0193-event")).unwrap();
    let head = "From: hello@example.com\r\nTo: ada@example.org\r\nSubject: Grüße\r\nMessage-ID: <0193-event@example.com>\r\n";
    assert!(text.starts_with(head), "{text}");
    assert!(text.contains("\r\n\r\none\r\ntwo\r\nthree\r\n--"), "{text}");
    assert!(text.contains("Content-Type: text/html; charset=utf-8\r\n"), "{text}");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{text}");
}

#[tokio::test]
async fn mailer_keeps_the_first_message_of_a_key() {
    let (_directory, mailer) = spool();
    mailer.send(&message("key")).await.unwrap();
    let first = fs::read(mailer.path("key")).unwrap();
    let mut racing = tokio::task::JoinSet::new();
    for n in 0..16 {
        let (mailer, mut message) = (mailer.clone(), message("key"));
        message.text = format!("again {n}");
        racing.spawn(async move { mailer.send(&message).await });
    }
    for outcome in racing.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(names(&mailer), ["key.eml"], "no temporary file is left");
    assert_eq!(fs::read(mailer.path("key")).unwrap(), first);
}

#[tokio::test]
async fn keys_cannot_leave_the_spool() {
    let (directory, mailer) = spool();
    let long = "k".repeat(Message::MAX_KEY);
    let keys =
        ["../out", "/etc/x", "..", ".", "a/b", "a\\b", "A", "a", "a\0", "~a", "welcome-user/1", "é", &long];
    for key in keys {
        mailer.send(&message(key)).await.unwrap();
    }
    assert_eq!(names(&mailer).len(), keys.len());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no file is outside of the spool");
}

#[tokio::test]
async fn mailer_refuses_a_subject_of_two_lines() {
    let (_directory, mailer) = spool();
    let injected = Message { subject: "Hi\r\nBcc: eve@example.com".to_owned(), ..message("key") };
    let error = mailer.send(&injected).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Invalid, false));
    assert!(names(&mailer).is_empty());
}

#[tokio::test]
async fn missing_spool_is_retryable() {
    let (directory, mailer) = spool();
    fs::remove_dir(directory.path().join("spool")).unwrap();
    let error = mailer.send(&message("key")).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    fs::create_dir(directory.path().join("spool")).unwrap();
    mailer.send(&message("key")).await.unwrap();
}

#[tokio::test]
async fn store_counts_each_unit_once() {
    let store = MeteredStore::new(MemoryStore::default());
    let context = ControlContext::system("test");
    drop(store.read_control(&context).await.unwrap());
    store.read_control(&context).await.unwrap().commit().await.unwrap();
    store.control(&context).await.unwrap().commit().await.unwrap();
    drop(store.control(&context).await.unwrap());
    let unit = store.control(&context).await.unwrap();
    // This commit is never polled, so it commits nothing.
    drop(unit.commit());
    let expected = Outcomes { read: 2, committed: 1, rolled_back: 2, ..Outcomes::default() };
    assert_eq!(store.outcomes(), expected);
}

#[tokio::test]
async fn one_failing_subscriber_retries_the_event() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let subscriber = |name: &'static str, fails: bool| {
        let seen = seen.clone();
        Subscription::new(name, "user.*", move |_: Arc<Delivery>| {
            let seen = seen.clone();
            async move {
                let again = seen.lock().unwrap().contains(&name);
                seen.lock().unwrap().push(name);
                assert!(!fails || again, "this subscriber panics once");
                Ok(())
            }
        })
        .unwrap()
    };
    let tenancy = Tenancy::builder(MemoryStore::default())
        .bus(SequentialBus::default())
        .subscribe(subscriber("first", true))
        .subscribe(subscriber("second", false))
        .without_background_work()
        .build()
        .unwrap();
    let platform = Context::Control(ControlContext::system("test"));
    let registration = Registration {
        email: "ada@example.org".into(),
        password: "correct horse battery staple".into(),
        full_name: None,
    };
    tenancy.accounts().register(&platform, registration).await.unwrap();
    let drained = tenancy.relay().drain(Plane::Control).await.unwrap();
    assert_eq!((drained.delivered, drained.retried), (0, 1));
    assert_eq!(*seen.lock().unwrap(), ["first", "second"]);
}

#[test]
fn bus_refuses_duplicate_subscriber_names() {
    let bus = SequentialBus::default();
    let subscribe = || {
        let quiet = |_: Arc<Delivery>| async { Ok::<(), Error>(()) };
        bus.subscribe(Subscription::new("same", "*", quiet).unwrap())
    };
    subscribe().unwrap();
    assert_eq!(subscribe().unwrap_err().kind(), ErrorKind::Config);
}
