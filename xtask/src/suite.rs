//! Every test of the workspace: what the tests need is set up here, then they run.

use std::process::Command;

use crate::{
    process::{self, Failure},
    services::{self, Postgres},
    workspace::Workspace,
};

/// All targets but benches, which have a gate of their own.
const TARGETS: [&str; 6] = ["--workspace", "--all-features", "--lib", "--bins", "--tests", "--examples"];

/// Runs all tests, or those that `args` choose, with a PostgreSQL server that is found, started or installed.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<(), Failure> {
    services::install_programs()?;
    let server = Postgres::find(workspace)?;
    let mut tests = runner(workspace);
    server.tell(&mut tests);
    process::run(tests.args(TARGETS).args(args))?;
    if !args.is_empty() {
        println!("documentation tests left out: the arguments are for the test runner");
        return Ok(());
    }
    process::run(&mut process::cargo(workspace.root(), ["test", "--doc", "--workspace", "--all-features"]))
}

/// Looks at the database at `url` by the example that does it: this program knows no database.
pub fn audit(workspace: &Workspace, url: &str, options: &[String]) -> Result<(), Failure> {
    let example =
        ["run", "-q", "-p", "multitenancy-sqlx", "--features", "postgres", "--example", "audit", "--", url];
    let mut audit = process::cargo(workspace.root(), example);
    // Not echoed: the URL may have a password in it.
    let ended = audit.args(options).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::new("the database is not safe to serve tenants from, or could not be looked at")),
    }
}

/// `cargo nextest run` when it is installed, `cargo test` when it is not.
fn runner(workspace: &Workspace) -> Command {
    if !process::works(&mut process::cargo(workspace.root(), ["nextest", "--version"])) {
        println!("cargo-nextest is not installed: plain `cargo test` runs the tests");
        return process::cargo(workspace.root(), ["test", "--no-fail-fast"]);
    }
    process::cargo(workspace.root(), ["nextest", "run"])
}
