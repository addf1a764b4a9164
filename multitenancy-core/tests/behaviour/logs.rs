//! S114: what goes wrong is logged, without the secrets it went wrong with.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use multitenancy_core::{
    Context, Error, ErrorKind, Plane, Result, Tenancy,
    access::RequestFacts,
    auth::Client,
    bus::{Delivery, Subscription},
    mail::{Mailer, Message},
    relay::RelayConfig,
};
use multitenancy_testkit::{ProbedStore, SeededRandom, fixtures, probe::Call};
use secrecy::ExposeSecret;
use tracing::Level;

use crate::support::{App, PASSWORD, SECRET, alone, credentials, organization, refresh_token, registration};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Fails, panics and refuses in turn.
#[derive(Default)]
struct FaultyMailer(AtomicUsize);

#[async_trait]
impl Mailer for FaultyMailer {
    async fn send(&self, _: &Message) -> Result<()> {
        match self.0.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(Error::overloaded("the mail provider is busy", Duration::from_secs(1))),
            1 => panic!("the mailer panics on purpose"),
            _ => Err(Error::new(ErrorKind::Invalid, "mail_refused", "the mail provider refuses this")),
        }
    }
}

/// Fails as handlers do: with an error of the store, and by a panic.
async fn faulty_handler(tenancy: Arc<Mutex<Option<Tenancy>>>, delivery: Arc<Delivery>) -> Result<()> {
    let tenancy = tenancy.lock().unwrap().clone();
    let (Some(tenancy), Some(context)) = (tenancy, delivery.context().as_tenant()) else { return Ok(()) };
    assert!(delivery.event().event_type != "user.logged_in", "the handler panics on purpose");
    let mut unit = tenancy.store().begin(context).await?;
    let user = delivery.event().payload["user_id"].as_str().unwrap_or_default().parse()?;
    let user = unit.users().find(user).await?.ok_or_else(|| Error::internal("nobody"))?;
    // The same user once more: refused by the store, with whatever it says.
    unit.users().insert(&user, None).await
}

/// Somebody's whole visit, as far as it comes; the tokens they are given are added to `secrets`.
async fn visit(
    tenancy: Tenancy,
    realm: Context,
    address: String,
    secrets: Arc<Mutex<Vec<String>>>,
) -> Result<()> {
    tenancy.accounts().register(&realm, registration(&address)).await?;
    let wrong = credentials(&address, "canary-wrong-password");
    drop(tenancy.accounts().log_in(&realm, wrong, Client::default()).await);
    let facts = RequestFacts::default();
    let mut signed_in = tenancy
        .accounts()
        .log_in(&realm, credentials(&address, PASSWORD), Client::default())
        .await?
        .complete()?;
    for _ in 0..2 {
        let (access, refresh) =
            (signed_in.access_token.expose_secret().to_owned(), refresh_token(&signed_in));
        secrets.lock().unwrap().extend([access.clone(), refresh.expose_secret().to_owned()]);
        let caller = tenancy.access().authenticate(&access, &facts).await?;
        drop(
            tenancy
                .organizations()
                .create(&caller, organization(&address.replace("canary", "org").replace(['@', '.'], "-")))
                .await,
        );
        signed_in = tenancy.accounts().refresh(&refresh, &facts).await?;
        drop(tenancy.accounts().refresh(&refresh, &facts).await);
    }
    let caller = tenancy.access().authenticate(signed_in.access_token.expose_secret(), &facts).await?;
    tenancy.accounts().log_out(&caller).await
}

/// S114: at the lowest level, with a store, handlers and a mailer that fail and panic, no log line tells a password, a
/// token, the signing secret, a hash, a mail's body or an address.
#[tokio::test(flavor = "multi_thread")]
async fn s114_failures_tell_no_secret() {
    // The log of all threads is one process's.
    if alone("logs::s114_failures_tell_no_secret", &[]).is_err() {
        return;
    }
    let log = Log::default();
    let writing = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(Level::TRACE);
    tracing::subscriber::set_global_default(subscriber.with_writer(move || writing.clone()).finish())
        .unwrap();

    let random = Arc::new(SeededRandom::from_env());
    // One call in so many fails; 0: none.
    let (panicking, rarity) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (panics, rare) = (panicking.clone(), rarity.clone());
    let probe = move |_: Call| {
        let times = rare.load(Ordering::Relaxed);
        let fails = times > 0 && random.once_in(times);
        assert!(!(fails && panics.load(Ordering::Relaxed)), "the store panics on purpose");
        async move { if fails { Err(Error::internal("the disk is full")) } else { Ok(()) } }
    };
    let within: Arc<Mutex<Option<Tenancy>>> = Arc::default();
    let tenancy = within.clone();
    let handler = move |delivery: Arc<Delivery>| faulty_handler(tenancy.clone(), delivery);
    let subscription = Subscription::new("faulty", "*", handler).unwrap();
    let relay = RelayConfig { max_attempts: 2, backoff: Duration::ZERO, ..RelayConfig::default() };
    let app = App::composed(
        |store| Arc::new(ProbedStore::new(store, probe)),
        |builder| builder.mailer(FaultyMailer::default()).subscribe(subscription).relay(relay),
    );
    *within.lock().unwrap() = Some(app.tenancy.clone());
    let realms = [app.platform().await, app.tenant("acme").await.1];
    let secrets = Arc::new(Mutex::new(Vec::new()));
    let canaries = [PASSWORD, SECRET, "canary", "argon2id$", "your account is ready"];
    secrets.lock().unwrap().extend(canaries.map(str::to_owned));
    for round in 0..24 {
        panicking.store(round % 2 == 1, Ordering::Relaxed);
        rarity.store(100, Ordering::Relaxed);
        let address = format!("canary-{round}@example.com");
        let visit = visit(app.tenancy.clone(), realms[round / 2 % 2].clone(), address, secrets.clone());
        // In a task of its own: it may panic.
        drop(tokio::spawn(visit).await);
        for plane in [Plane::Control, realms[1].plane()] {
            let relay = app.tenancy.relay().clone();
            drop(tokio::spawn(async move { relay.drain(plane).await }).await);
        }
        app.clock.advance(Duration::from_secs(60));
        rarity.store(20, Ordering::Relaxed);
        for _ in 0..3 {
            let relay = app.tenancy.relay().clone();
            let running = async move { tokio::time::timeout(Duration::from_millis(20), relay.run()).await };
            drop(tokio::spawn(running).await);
        }
    }

    let text = log.text();
    for expected in [
        "event handler failed",
        "event parked",
        "the relay panicked",
        "the disk is full",
        "panics on purpose",
    ] {
        assert!(text.contains(expected), "nothing was logged of: {expected}");
    }
    let secrets = secrets.lock().unwrap().clone();
    assert!(secrets.len() > 12, "only {} secrets were about", secrets.len());
    for secret in &secrets {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} was logged");
    }
    // The control: what is logged is found.
    tracing::trace!(address = %fixtures::email("canary-24@example.com"), "told");
    assert!(log.text().contains("canary"));
}
