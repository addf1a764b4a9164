//! Every test of the workspace: prepares the tests' services, then runs the tests.

#![expect(clippy::disallowed_methods, reason = "a run tells how long it took, and there is no `Environment`")]

use std::{env, fs, path::Path, process::Command, thread, time::Instant};

use crate::{
    figures::{self, Figures},
    process::{self, Failure},
    services::{self, Postgres},
    workspace::Workspace,
};

/// The variable that multiplies the rounds of races.
const ROUNDS: &str = "TESTKIT_ROUNDS";

/// All targets except benches, which have their own gate.
const TARGETS: [&str; 6] = ["--workspace", "--all-features", "--lib", "--bins", "--tests", "--examples"];

/// Tests that assert a duration. They run alone, after all others.
const TIMING: &str = "binary(timing) | test(scale::) | test(hangs_is_waited) | test(pooler::) & test(opening_fails_when_overloaded) \
                      | binary(process) & test(limits)";

/// Tests that need PostgreSQL, and tests that compile or measure.
const NOT_QUICK: &str = "binary(postgres) | binary(compile_fail) | binary(program) | binary(process)";

/// Runs all tests, or those that `args` select, on a PostgreSQL server of this run, or on the server of
/// `DATABASE_URL`.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<(), Failure> {
    services::install_programs()?;
    let server = Postgres::find(workspace)?;
    let has_nextest = has_nextest(workspace);
    if has_nextest {
        // Before the clock starts: the budget is for running, not for compiling.
        process::run(nextest(workspace).arg("--no-run"))?;
    }
    let start = Instant::now();
    if !has_nextest {
        println!("cargo-nextest is not installed: plain `cargo test` runs the tests, and gives no figures");
        let mut tests = process::cargo(workspace.root(), ["test", "--no-fail-fast"]);
        server.tell(&mut tests);
        process::run(tests.args(TARGETS).args(args))?;
    } else if args.is_empty() {
        in_groups(workspace, &server)?;
    } else {
        let mut tests = nextest(workspace);
        server.tell(&mut tests);
        process::run(tests.args(args))?;
    }
    if !args.is_empty() {
        println!("documentation tests left out: the arguments are for the test runner");
        return Ok(());
    }
    process::run(&mut process::cargo(workspace.root(), ["test", "--doc", "--workspace", "--all-features"]))?;
    match is_night() {
        true => Ok(()),
        false => figures::within_budget(start.elapsed().as_secs_f64(), env::var_os("CI").is_some()),
    }
}

/// Runs the tests that need no PostgreSQL.
pub fn quick(workspace: &Workspace, args: &[String]) -> Result<(), Failure> {
    if !has_nextest(workspace) {
        return Err(Failure::new(
            "a quick run needs cargo-nextest, which chooses the tests: https://nexte.st",
        ));
    }
    let filter = format!("not ({TIMING} | {NOT_QUICK})");
    process::run(nextest(workspace).args(["--no-tests", "fail", "-E", &filter]).args(args))
}

/// Runs all tests with the full number of rounds of their races, as the nightly workflow does.
pub fn nightly(workspace: &Workspace) -> Result<(), Failure> {
    let program = env::current_exe().map_err(|error| Failure::new(error.to_string()))?;
    let mut night = Command::new(program);
    night.current_dir(workspace.root()).arg("test").env("NEXTEST_PROFILE", "nightly");
    if !is_night() {
        night.env(ROUNDS, "20");
    }
    process::run(&mut night)
}

fn is_night() -> bool {
    env::var_os(ROUNDS).is_some()
}

/// First the tests that can share the machine, then the tests that measure time.
fn in_groups(workspace: &Workspace, server: &Postgres) -> Result<(), Failure> {
    let profile = env::var("NEXTEST_PROFILE").unwrap_or_else(|_| "default".to_owned());
    let report = workspace.target().join("nextest").join(profile).join("junit.xml");
    let mut figures = Figures::default();
    let mut run = |arguments: &[&str]| {
        let mut tests = nextest(workspace);
        server.tell(&mut tests);
        let outcome = process::run(tests.args(arguments));
        figures.add(&report);
        outcome
    };
    let together = run(&["-E", &format!("not ({TIMING})")]);
    if let Some(load) = busy() {
        println!("the machine is busy (load {load}): a test of time may fail for that, and passes alone");
    }
    let alone = run(&["-E", TIMING, "--test-threads", "1"]);
    figures.print();
    together.and(alone)
}

/// The load of the last minute, when other processes need more than half of the machine. The load of our own tests,
/// which have just ended, decays.
fn busy() -> Option<String> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let minute = load.split_whitespace().next()?.to_owned();
    let cores = thread::available_parallelism().ok()?.get();
    (minute.parse::<f64>().ok()? > 2.0 * cores as f64).then_some(minute)
}

fn has_nextest(workspace: &Workspace) -> bool {
    process::works(&mut process::cargo(workspace.root(), ["nextest", "--version"]))
}

fn nextest(workspace: &Workspace) -> Command {
    let mut nextest = process::cargo(workspace.root(), ["nextest", "run"]);
    nextest.args(TARGETS);
    nextest
}

/// Audits a database by running the example: this program depends on no database crate.
pub fn audit(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    // Not echoed: the URL may contain a password.
    match audit_command(workspace.root(), arguments).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::new("the database is not safe to serve tenants from, or could not be looked at")),
    }
}

/// The URL is always passed by the environment, which other users cannot read.
fn audit_command(root: &Path, arguments: &[String]) -> Command {
    let example =
        ["run", "-q", "-p", "multitenancy-sqlx", "--features", "postgres", "--example", "audit", "--"];
    let mut audit = process::cargo(root, example);
    let options = match arguments {
        [url, options @ ..] if !url.starts_with("--") => {
            audit.env("DATABASE_URL", url);
            options
        }
        options => options,
    };
    audit.args(options);
    audit
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn audit_hides_its_url() {
        let url = "postgres://app:secret@localhost/app";
        for (arguments, environment) in
            [(vec![url, "--login", "app"], Some(url)), (vec!["--login", "app"], None)]
        {
            let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
            let command = audit_command(Path::new("."), &arguments);
            let given: Vec<_> = command.get_args().collect();
            assert!(
                given.ends_with(&[OsStr::new("--"), OsStr::new("--login"), OsStr::new("app")]),
                "{given:?}"
            );
            let variable = command.get_envs().find(|(name, _)| *name == "DATABASE_URL");
            assert_eq!(variable.and_then(|(_, value)| value), environment.map(OsStr::new));
        }
    }
}
