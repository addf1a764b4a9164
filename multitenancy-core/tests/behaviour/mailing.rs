//! What the framework's own events bring about: the welcome, and what travels with each.

use std::sync::{Arc, Mutex};

use multitenancy_core::{
    Context, EventId, Plane,
    account::Welcome,
    bus::{Delivery, Subscription},
    event::Envelope,
    user::UserCreated,
};
use multitenancy_testkit::{MailFailure, fixtures};

use crate::{
    events::{drain, drain_all},
    support::{ADA, App, PASSWORD},
};

/// A welcome is sent once, to whoever registers, however often the event comes; nobody who was made for somebody of
/// the platform is welcomed again.
#[tokio::test]
async fn a_welcome_is_sent_once() {
    let app = App::new();
    let (context, realm) = app.tenant("acme").await;
    let plane = Context::Tenant(context);
    app.register(&realm, ADA).await;
    app.mailer.fail_next(MailFailure::Passing);
    let first = drain(&app, &plane).await;
    assert_eq!(app.mailer.sent(), [], "the provider was busy");
    drain_all(&app, &plane, first).await;
    let sent = app.mailer.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].to.as_str(), sent[0].subject.as_str()), (ADA, "Welcome"));
    for written in [PASSWORD, "Ada", "acme"] {
        assert!(
            !sent[0].text.contains(written),
            "an address that is not proven gets nobody's words: {}",
            sent[0].text
        );
    }

    // The same event once more, as after a crash: the mailer is not even asked.
    let attempts = app.mailer.attempts();
    let event_id: EventId = sent[0].idempotency_key.parse().unwrap();
    let mut unit = plane.begin(&app.store).await.unwrap();
    assert!(unit.consumed().contains(Welcome::NAME, event_id).await.unwrap());
    let user = unit.users().find_by_email(&fixtures::email(ADA)).await.unwrap().unwrap();
    let created = UserCreated { user_id: user.id, platform_user_id: None };
    let sealed = Envelope::seal(&created, plane.plane(), unit.origin(), unit.environment());
    let again = Envelope { event_id, ..sealed.unwrap() };
    unit.outbox().append(&again).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(drain(&app, &plane).await.delivered, 1);
    assert_eq!(app.mailer.attempts(), attempts);

    let (_, globex) = app.owner_of("globex").await;
    app.tenancy.relay().drain(Plane::Control).await.unwrap();
    app.tenancy.relay().drain(Plane::Tenant(globex.id)).await.unwrap();
    let to: Vec<_> =
        app.mailer.sent().iter().map(|mail| (mail.to.to_string(), mail.subject.clone())).collect();
    assert_eq!(
        to[1..],
        [("owner-of-globex@example.com".to_owned(), "Welcome".to_owned())],
        "on the platform alone"
    );
}

/// An event is told in the context of its tenant, with who caused it and in which request, and never with a secret.
#[tokio::test]
async fn an_event_travels_with_its_origin() {
    let seen: Arc<Mutex<Vec<Arc<Delivery>>>> = Arc::default();
    let seeing = seen.clone();
    let subscription = Subscription::new("all", "*", move |delivery: Arc<Delivery>| {
        seeing.lock().unwrap().push(delivery);
        async { Ok(()) }
    });
    let app = App::composed(|store| store, |builder| builder.subscribe(subscription.unwrap()));
    let (context, realm) = app.tenant("acme").await;
    let caller = app.caller(&realm, ADA).await;
    app.tenancy.accounts().log_out(&caller).await.unwrap();
    app.tenancy.relay().drain(Plane::Tenant(context.tenant_id())).await.unwrap();
    let seen = seen.lock().unwrap();
    let types: Vec<_> = seen.iter().map(|delivery| delivery.event().event_type.as_str()).collect();
    let mut sorted = types.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["session.created", "session.revoked", "user.created", "user.logged_in"]);
    let place = |wanted: &str| types.iter().position(|name| *name == wanted).unwrap();
    assert!(
        place("user.created") < place("user.logged_in")
            && place("session.created") < place("session.revoked")
    );
    for delivery in seen.iter() {
        let event = delivery.event();
        assert_eq!(event.tenant, Some(context.tenant_id()));
        assert_eq!(delivery.context().tenant_id(), Some(context.tenant_id()));
        let text = serde_json::to_string(event).unwrap();
        for secret in [PASSWORD, "argon2", "rt.", "eyJ"] {
            assert!(!text.contains(secret), "{text}");
        }
        let by = serde_json::to_value(&event.actor).unwrap();
        let expected = if event.event_type == "session.revoked" { "tenant_user" } else { "anonymous" };
        assert_eq!(by["kind"], expected, "{}", event.event_type);
    }
}
