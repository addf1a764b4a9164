//! S124: SIGKILL ends the server under load; the tests then check its data.

use std::{
    collections::BTreeSet,
    fs::File,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use multitenancy_testkit::{SeededRandom, rounds};
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::{api::Api, database::Database, program::Program, shutdown::BOUND};

const ISOLATIONS: [&str; 3] = ["shared", "schema", "database"];

/// The writes that the server acknowledged before the kill.
#[derive(Default)]
struct Acknowledged {
    /// E-mail addresses, each with its tenant; `None` is the platform.
    people: Vec<(String, Option<String>)>,
    organizations: Vec<String>,
}

type Ledger = Arc<Mutex<Acknowledged>>;

/// The fate of the events that the killed process had not delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undelivered {
    Kept,
    /// The control: the test deletes them, and the server delivers none before the kill.
    Lost,
}

/// Registers people on the platform, creates organizations of all isolations and registers people in them, until the
/// server stops answering.
async fn load(api: &Api, ada: &str, ledger: &Ledger) {
    let mut clients = JoinSet::new();
    for client in 0..3 {
        let (api, ledger) = (api.clone(), ledger.clone());
        clients.spawn(async move {
            for number in 0.. {
                let email = format!("platform-{client}-{number}@example.com");
                match api.try_register(&email, None).await {
                    Ok((201, _)) => ledger.lock().unwrap().people.push((email, None)),
                    Ok((status, problem)) => assert_eq!(status, 503, "{problem}"),
                    Err(_) => return,
                }
            }
        });
    }
    for isolation in ISOLATIONS {
        let (api, ledger, owner) = (api.clone(), ledger.clone(), ada.to_owned());
        clients.spawn(async move {
            for number in 0.. {
                let slug = format!("{isolation}-{number}");
                let new = json!({"name": slug, "slug": slug, "isolation": isolation});
                match api.try_post("/organizations", &owner, new).await {
                    Ok((201, _)) => ledger.lock().unwrap().organizations.push(slug.clone()),
                    Ok((status, problem)) => panic!("{status} {problem}"),
                    Err(_) => return,
                }
                let email = format!("{isolation}-{number}@example.com");
                match api.try_register(&email, Some(&slug)).await {
                    Ok((201, _)) => ledger.lock().unwrap().people.push((email, Some(slug))),
                    Ok((status, problem)) => assert_eq!(status, 503, "{problem}"),
                    Err(_) => return,
                }
            }
        });
    }
    clients.join_all().await;
}

/// The server's command. It writes mail, the effect of registration events, to the file `log`.
fn command(database: &Database, directory: &Path) -> Command {
    let log = File::options().create(true).append(true).open(directory.join("log")).unwrap();
    let mut command = database.command(directory);
    command.env("LOG_FORMAT", "json").stderr(log);
    command
}

fn mailed(directory: &Path) -> BTreeSet<String> {
    let log = std::fs::read_to_string(directory.join("log")).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mails = lines.filter(|line| line["fields"]["message"] == "mail");
    mails.filter_map(|line| line["fields"]["to"].as_str().map(str::to_owned)).collect()
}

/// Waits until every organization is active and every event is delivered.
async fn wait_until_complete(database: &Database) {
    let start = Instant::now();
    loop {
        let registry = database.registry().await;
        let pending = database.in_every_outbox("SELECT count(*) FROM {outbox}").await;
        if pending == 0 && registry.values().all(|(_, status)| status == "active") {
            return;
        }
        assert!(start.elapsed() < 3 * BOUND, "{pending} events undelivered; {registry:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills a server under load, `millis` ms after its first reply, restarts it, and checks all acknowledged writes. Returns
/// the number of those writes, and the number of registrations without mail.
async fn kill_under_load(millis: u64, undelivered: Undelivered) -> (usize, usize) {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let mut command = command(&database, directory.path());
    if undelivered == Undelivered::Lost {
        command.env("EVENTS_ENABLED", "false");
    }
    let program = Program::run(&mut command);
    let (api, ledger) = (Api::of(&program), Ledger::default());
    let ada = api.join("ada@example.com", None).await;
    let kill = async {
        let start = Instant::now();
        while ledger.lock().unwrap().people.is_empty() {
            assert!(start.elapsed() < BOUND, "no registration succeeded");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(millis)).await;
        program.signal("KILL");
    };
    tokio::join!(load(&api, &ada, &ledger), kill);
    drop(program);

    // The killed relay's leases end now, so that the test need not wait for them.
    let free =
        "WITH freed AS (UPDATE {outbox} SET lease_until = 'epoch' RETURNING 1) SELECT count(*) FROM freed";
    let forget = "WITH lost AS (DELETE FROM {outbox} RETURNING 1) SELECT count(*) FROM lost";
    database.in_every_outbox(if undelivered == Undelivered::Kept { free } else { forget }).await;

    let program = Program::run(&mut self::command(&database, directory.path()));
    wait_until_complete(&database).await;
    database.assert_nothing_orphaned().await;
    let api = Api::of(&program);
    let Acknowledged { people, organizations } = std::mem::take(&mut *ledger.lock().unwrap());
    let owner = api.log_in("ada@example.com", None).await;
    for slug in &organizations {
        let (status, entered) = api.post("/auth/switch", &owner, json!({"tenant": slug})).await;
        assert_eq!(status, 200, "{slug} was acknowledged: {entered}");
    }
    for (email, tenant) in &people {
        let (status, tokens) = api.try_log_in(email, tenant.as_deref()).await.unwrap();
        assert_eq!(status, 200, "{email} in {tenant:?} was acknowledged: {tokens}");
    }
    let mailed = mailed(directory.path());
    let unmailed = people.iter().filter(|(email, _)| !mailed.contains(email)).count();
    (people.len() + organizations.len(), unmailed)
}

/// After a kill at any moment, every acknowledged write is kept, every organization is complete, no schema or database is
/// left over, and every event is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn s124_killed_server_keeps_acknowledged_writes() {
    let random = SeededRandom::from_env();
    for _ in 0..rounds(3) {
        let (acknowledged, unmailed) = kill_under_load(random.number(0..1500), Undelivered::Kept).await;
        assert_eq!(unmailed, 0, "an event is lost");
        assert!(acknowledged > 0, "the round wrote nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s124_control_loses_events() {
    let (acknowledged, unmailed) = kill_under_load(100, Undelivered::Lost).await;
    assert!(acknowledged > 0 && unmailed > 0, "the control lost no event: the test cannot detect a loss");
}
