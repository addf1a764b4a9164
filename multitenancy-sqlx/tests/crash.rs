//! The process is killed at random instants (SIGKILL), and its data is examined.
//!
//! Each test runs this binary again as the process to kill.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use common::open;
use multitenancy_core::{
    ControlContext, Store, Tenancy, Tenant, TenantContext, UnitOfWork,
    access::RequestFacts,
    account::{Credentials, Registration},
    auth::Client,
    bus::{Delivery, Subscription},
    event::{Aggregate, Event, LeaseId},
    organization::NewOrganization,
    page::PageRequest,
    tenant::{TenantKey, TenantStatus},
};
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::{
    SeededRandom,
    fixtures::{context, provisioned},
    smoke_or,
};

const ROLE: &str = "CRASH_TEST_ROLE";
const DIRECTORY: &str = "CRASH_TEST_DIRECTORY";
const READY: &str = "ready";

/// In the process to kill: its role and its directory.
fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var(DIRECTORY).ok()?.into()))
}

/// Runs `test` again in `role`, kills it `millis` after it is ready, and returns the lines that it wrote since then.
fn run_and_kill(test: &str, role: &str, directory: &Path, millis: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with(READY)), "the process did not get ready");
    std::thread::sleep(Duration::from_millis(millis));
    child.kill().unwrap();
    child.wait().unwrap();
    lines.collect()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

async fn open_in(directory: &Path) -> SqliteStore {
    open(SqliteStore::builder(&common::url(directory))).await
}

#[derive(serde::Serialize)]
struct NoteWritten {
    note: i64,
}

impl Event for NoteWritten {
    const TYPE: &'static str = "note.written";
    const VERSION: u32 = 1;

    fn aggregate(&self) -> Aggregate {
        Aggregate::new("note", self.note)
    }
}

/// Writes notes, each with its event, from four tasks, and prints the acknowledged ones.
async fn write_notes(store: &SqliteStore, tenant: &Tenant) {
    say(READY);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, tenant) = (store.clone(), context(tenant));
        writers.spawn(async move {
            loop {
                say(&write_note(&store, &tenant).await);
            }
        });
    }
    writers.join_all().await;
}

/// Writes a note that holds the id of its event.
async fn write_note(store: &SqliteStore, context: &TenantContext) -> String {
    let mut tx = store.begin(context).await.unwrap();
    let insert = "INSERT INTO notes (text) VALUES ('') RETURNING id";
    let note: i64 = sqlx::query_scalar(insert).fetch_one(tx.conn()).await.unwrap();
    let event = tx.publish(NoteWritten { note }).await.unwrap().to_string();
    let update = sqlx::query("UPDATE notes SET text = $2 WHERE id = $1").bind(note).bind(&event);
    update.execute(tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    event
}

/// The content of the only tenant's notes: the ids of their events.
async fn notes(store: &SqliteStore) -> (Tenant, BTreeSet<String>) {
    let tenant = only_tenant(store).await;
    let mut tx = store.read(&context(&tenant)).await.unwrap();
    let notes: Vec<String> = sqlx::query_scalar("SELECT text FROM notes").fetch_all(tx.conn()).await.unwrap();
    let check: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(tx.conn()).await.unwrap();
    assert_eq!(check, "ok");
    (tenant, notes.into_iter().collect())
}

async fn only_tenant(store: &SqliteStore) -> Tenant {
    let mut unit = Store::read_control(store, &ControlContext::system("test")).await.unwrap();
    unit.tenants().find(&TenantKey::Slug("acme".parse().unwrap())).await.unwrap().unwrap()
}

/// S93, S124: after a kill at any instant, every acknowledged write exists with its event, and no event exists
/// without its write.
#[tokio::test(flavor = "multi_thread")]
async fn s93_kill_separates_no_write_from_its_event() {
    if let Some((_, directory)) = role() {
        let store = open_in(&directory).await;
        let tenant = provisioned(&store, "acme").await;
        return write_notes(&store, &tenant).await;
    }
    let random = SeededRandom::from_env();
    let mut acknowledged = 0;
    for _ in 0..smoke_or(8, 25) {
        let directory = tempfile::tempdir().unwrap();
        let test = "s93_kill_separates_no_write_from_its_event";
        let said = run_and_kill(test, "writer", directory.path(), random.number(0..150));
        let store = open_in(directory.path()).await;
        let (tenant, notes) = notes(&store).await;
        for event in &said {
            assert!(notes.contains(event), "the acknowledged write {event} is lost");
        }
        let mut tx = store.read(&context(&tenant)).await.unwrap();
        let sql = "SELECT lower(hex(event_id)) FROM multitenancy_outbox";
        let events: Vec<String> = sqlx::query_scalar(sql).fetch_all(tx.conn()).await.unwrap();
        let written: BTreeSet<String> = notes.iter().map(|id| id.replace('-', "")).collect();
        assert_eq!(events.into_iter().collect::<BTreeSet<_>>(), written);
        acknowledged += said.len();
    }
    assert!(acknowledged > 0, "no round wrote anything");
}

fn diary(directory: &Path) -> PathBuf {
    directory.join("diary")
}

/// The work of a subscriber: it takes a moment, and writes the event down where a kill cannot remove it.
async fn write_down(diary: &Path, event: &str) {
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(diary).unwrap();
    // One call, so that concurrent writes cannot come in between.
    file.write_all(format!("{event}\n").as_bytes()).unwrap();
}

fn relaying(store: &SqliteStore, directory: &Path) -> Tenancy {
    let diary = diary(directory);
    let subscription = Subscription::new("diary", "note.*", move |delivery: Arc<Delivery>| {
        let diary = diary.clone();
        async move {
            write_down(&diary, &delivery.event().event_id.to_string()).await;
            Ok(())
        }
    });
    Tenancy::builder(store.clone()).subscribe(subscription.unwrap()).build().unwrap()
}

/// The control: a relay that forgets an event before it is delivered.
async fn relay_at_most_once(store: &SqliteStore, tenant: &Tenant, diary: &Path) {
    let environment = store.environment();
    loop {
        let mut unit = store.begin(&context(tenant)).await.unwrap();
        let (lease, now) = (LeaseId::generate(environment), environment.now());
        let claim = unit.outbox().claim(lease, now, now + chrono::TimeDelta::seconds(30), 64).await.unwrap();
        for event in &claim.events {
            unit.outbox().delivered(lease, event.envelope.event_id).await.unwrap();
        }
        unit.commit().await.unwrap();
        for event in claim.events {
            write_down(diary, &event.envelope.event_id.to_string()).await;
        }
    }
}

/// Runs writers and a relay of `kind`, kills them, relays the rest, and counts the undelivered events.
async fn untold_after_a_kill(kind: &str, millis: u64) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let test = "s95_kill_loses_no_event";
    run_and_kill(test, kind, directory.path(), millis);
    let store = open_in(directory.path()).await;
    let (tenant, notes) = notes(&store).await;
    let told = || -> BTreeSet<String> {
        let text = std::fs::read_to_string(diary(directory.path())).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let _relaying = relaying(&store, directory.path());
    for _ in 0..600 {
        let mut unit = store.read(&context(&tenant)).await.unwrap();
        // The killed relay's claims expire with its lease: shortened here, so that the test need not wait.
        if unit.outbox().pending().await.unwrap() == 0 {
            break;
        }
        drop(unit);
        let mut unit = store.begin(&context(&tenant)).await.unwrap();
        sqlx::query("UPDATE multitenancy_outbox SET lease_until = 0").execute(unit.conn()).await.unwrap();
        unit.commit().await.unwrap();
        store.signals().outbox_grew(multitenancy_core::Plane::Tenant(tenant.id));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    notes.difference(&told()).count()
}

/// S95: after a kill between commit and delivery, or between delivery and its record, every event is still delivered.
/// A relay that forgets first loses some events, so the test would detect it.
#[tokio::test(flavor = "multi_thread")]
async fn s95_kill_loses_no_event() {
    if let Some((role, directory)) = role() {
        let store = open_in(&directory).await;
        let tenant = provisioned(&store, "acme").await;
        let _relaying = (role == "relay").then(|| relaying(&store, &directory));
        let broken = async {
            match role.as_str() {
                "broken" => relay_at_most_once(&store, &tenant, &diary(&directory)).await,
                _ => std::future::pending().await,
            }
        };
        tokio::join!(write_notes(&store, &tenant), broken);
        return;
    }
    let random = SeededRandom::from_env();
    for _ in 0..smoke_or(4, 10) {
        assert_eq!(untold_after_a_kill("relay", random.number(20..250)).await, 0, "an event is lost");
    }
    let mut lost = 0;
    for _ in 0..10 {
        lost += untold_after_a_kill("broken", random.number(50..250)).await;
    }
    assert!(lost > 0, "the control lost nothing: the test cannot detect a loss");
}

/// S116: after a kill at any instant of creating organizations, each is complete or gone after the next start, and no
/// file is left over.
#[tokio::test(flavor = "multi_thread")]
async fn s116_kill_leaves_no_partial_organization() {
    if let Some((_, directory)) = role() {
        let store = open_in(&directory).await;
        let tenancy = Tenancy::builder(store).without_background_work().build().unwrap();
        return make_organizations(tenancy).await;
    }
    let random = SeededRandom::from_env();
    let mut acknowledged = 0;
    for _ in 0..smoke_or(4, 10) {
        let directory = tempfile::tempdir().unwrap();
        let test = "s116_kill_leaves_no_partial_organization";
        let said = run_and_kill(test, "maker", directory.path(), random.number(0..200));
        let store = open_in(directory.path()).await;
        let tenancy = Tenancy::builder(store.clone()).without_background_work().build().unwrap();
        tenancy.organizations().resume().await.unwrap();

        let mut unit = Store::read_control(&store, &ControlContext::system("test")).await.unwrap();
        let tenants = unit.tenants().list(None, &PageRequest::first(100)).await.unwrap().items;
        let events = unit.outbox().pending().await.unwrap();
        drop(unit);
        for slug in &said {
            assert!(
                tenants.iter().any(|tenant| tenant.slug.as_str() == slug),
                "{slug} was acknowledged and is lost"
            );
        }
        for tenant in &tenants {
            assert_eq!(tenant.status, TenantStatus::Active, "{}", tenant.slug);
            let mut unit = Store::read(&store, &context(tenant)).await.unwrap();
            let owner = unit.users().find_by_platform_user(tenant.owner_id).await.unwrap().unwrap();
            assert!(owner.is_owner);
        }
        // `user.created` and two more from signing in; then one `tenant.created` each.
        assert_eq!(events as usize, 3 + tenants.len());
        let files = std::fs::read_dir(directory.path().join("tenants")).unwrap();
        let databases =
            files.filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "db").count();
        assert_eq!(databases, tenants.len(), "files and tenants");
        acknowledged += said.len();
    }
    assert!(acknowledged > 0, "no round made anything");
}

async fn make_organizations(tenancy: Tenancy) {
    let facts = RequestFacts::default();
    let realm = tenancy.access().context(&facts).await.unwrap();
    let email = "ada@example.com".to_owned();
    let password = secrecy::SecretString::from("correct horse battery staple");
    let registration = Registration { email: email.clone(), password: password.clone(), full_name: None };
    tenancy.accounts().register(&realm, registration).await.unwrap();
    let credentials = Credentials { email, password };
    let signed_in =
        tenancy.accounts().log_in(&realm, credentials, Client::default()).await.unwrap().complete().unwrap();
    let token = secrecy::ExposeSecret::expose_secret(&signed_in.access_token).to_owned();
    let ada = tenancy.access().authenticate(&token, &facts).await.unwrap();
    say(READY);
    for index in 0.. {
        let name = format!("Tenant {index}").parse().unwrap();
        let new = NewOrganization { name, slug: None, isolation: None };
        let made = tenancy.organizations().create(&ada, new).await.unwrap();
        say(made.slug.as_str());
    }
}
