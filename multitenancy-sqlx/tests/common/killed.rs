//! A process that migrates many tenants is killed (SIGKILL) at random instants. The process is this test, run again.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use async_trait::async_trait;
use multitenancy_core::{
    Isolation, Store, Tenant,
    store::fleet::{FleetOptions, Target},
};
use multitenancy_testkit::{SeededRandom, fixtures::provisioned_in, rounds};

use super::cases::{Deployment, migrate, refusal, status, three, to};

const PLACE: &str = "KILLED_FLEET_PLACE";
const VERSION: &str = "KILLED_FLEET_VERSION";
const TENANTS: usize = 40;
/// The columns of the tenant's table, at each version of [`three`].
const COLUMNS: [&[&str]; 4] =
    [&[], &["id", "text"], &["author", "id", "text"], &["author", "id", "mood", "text"]];

/// The tests' view of the tenants' storage.
#[async_trait]
pub trait Storage: Deployment {
    /// Waits until no process works on it: a server notices a killed client after a moment.
    async fn settled(&self, tenants: &[Tenant]);

    /// The columns of the tenant's notes, in alphabetical order, without those that a deployment adds.
    async fn columns(&self, tenant: &Tenant) -> Vec<String>;

    /// Writes a note with the tenant's slug.
    async fn write(&self, tenant: &Tenant);

    /// The content of the tenant's notes.
    async fn notes(&self, tenant: &Tenant) -> Vec<String>;
}

/// In the process to kill: the place of the tenants.
pub fn place() -> Option<String> {
    std::env::var(PLACE).ok()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The process to kill: migrates all, and prints each completed tenant.
pub async fn migrate_and_tell(store: &dyn Store) {
    let version: i64 = std::env::var(VERSION).unwrap().parse().unwrap();
    let options = FleetOptions { at_once: 3, ..to(Target::Version(version)) };
    say("ready");
    let mut run = store.fleet().migrate_all(&options).await.unwrap();
    while run.next().await.is_some() {
        say("done");
    }
}

/// Runs `test` again in `place`, kills it this long after it has completed this many tenants, and returns how many it
/// completed.
fn run_and_kill(test: &str, place: &str, version: i64, done: u64, after: Duration) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(PLACE, place)
        .env(VERSION, version.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("ready")), "the process did not get ready");
    let told = |line: &String| line.ends_with("done");
    let before = (0..done).map_while(|_| lines.by_ref().find(told)).count();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    before + lines.filter(told).count()
}

/// The state that every later process must find after a kill at any instant: each tenant is at a version and not
/// between two, with the tables of that version, and is served if that is the program's version and refused
/// otherwise.
async fn assert_whole(storage: &dyn Storage, store: &dyn Store, tenants: &[Tenant]) -> usize {
    let mut served = 0;
    for found in status(store).await {
        let tenant = tenants.iter().find(|tenant| tenant.id == found.tenant.id).unwrap();
        let state = found.state.unwrap();
        let columns = storage.columns(tenant).await;
        assert_eq!(columns, COLUMNS[usize::try_from(state.applied).unwrap()], "{}: {state:?}", tenant.slug);
        assert_eq!(state.drift, []);
        let refused = refusal(store, tenant).await;
        match state.current {
            true => assert_eq!((refused, state.applied), (None, 3), "{}", tenant.slug),
            false => assert_eq!(refused, Some("tenant_upgrading"), "{}: {state:?}", tenant.slug),
        }
        served += usize::from(state.current);
    }
    served
}

/// E20, S124: after a kill at any instant on the way down and up, the next process completes the fleet: every tenant
/// is at the newest version, none partly migrated, and none was served at another version in between. No data is
/// lost.
pub async fn a_killed_run_is_completed_by_the_next(
    storage: &dyn Storage,
    isolations: &[Isolation],
    place: &str,
    test: &str,
) {
    let random = SeededRandom::from_env();
    let mut store = storage.open(three(storage, 3)).await;
    let mut tenants = Vec::new();
    for index in 0..TENANTS {
        let isolation = isolations[index % isolations.len()];
        tenants.push(provisioned_in(&*store, &format!("tenant-{index}"), isolation).await);
        storage.write(&tenants[index]).await;
    }
    let mut cut_off = 0;
    for _ in 0..rounds(3) {
        for version in [i64::try_from(random.number(1..3)).unwrap(), 3] {
            storage.close(store);
            let after = Duration::from_micros(random.number(0..20_000));
            let done = run_and_kill(test, place, version, random.number(0..TENANTS as u64), after);
            cut_off += usize::from(done < TENANTS);
            storage.settled(&tenants).await;
            store = storage.open(three(storage, 3)).await;
            assert_whole(storage, &*store, &tenants).await;
        }
        // Reading the status makes no tenant current: the next process may be the one that migrates.
        storage.close(store);
        run_and_kill(test, place, 1, random.number(0..TENANTS as u64), Duration::ZERO);
        storage.settled(&tenants).await;
        store = storage.open(three(storage, 3)).await;
        let report = migrate(&*store, &FleetOptions::default()).await;
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        assert_eq!(assert_whole(storage, &*store, &tenants).await, TENANTS, "{report:?}");
    }
    assert!(cut_off > 0, "no process was killed in the midst");
    for tenant in &tenants {
        assert_eq!(storage.notes(tenant).await, [tenant.slug.as_str()]);
    }
}
