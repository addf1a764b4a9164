//! Every test of the workspace: what the tests need is set up here, then they run.

use std::{path::Path, process::Command};

use crate::{
    process::{self, Failure},
    services::{self, Postgres},
    workspace::Workspace,
};

/// All targets but benches, which have a gate of their own.
const TARGETS: [&str; 6] = ["--workspace", "--all-features", "--lib", "--bins", "--tests", "--examples"];

/// Runs all tests, or those that `args` choose, on a PostgreSQL server of the run's own, or on the one that `DATABASE_URL` names.
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

/// Looks at a database by the example that does it: this program knows none.
pub fn audit(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    // Not echoed: the URL may have a password in it.
    match audit_command(workspace.root(), arguments).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::new("the database is not safe to serve tenants from, or could not be looked at")),
    }
}

/// The URL goes by the environment, which nobody else can read, whatever it came by.
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

/// `cargo nextest run` when it is installed, `cargo test` when it is not.
fn runner(workspace: &Workspace) -> Command {
    if !process::works(&mut process::cargo(workspace.root(), ["nextest", "--version"])) {
        println!("cargo-nextest is not installed: plain `cargo test` runs the tests");
        return process::cargo(workspace.root(), ["test", "--no-fail-fast"]);
    }
    process::cargo(workspace.root(), ["nextest", "run"])
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn an_audit_shows_its_url_to_nobody() {
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
