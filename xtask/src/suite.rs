//! Every test of the workspace: what the tests need is set up here, then they run.

use std::process::Command;

use crate::{
    process::{self, Failure},
    workspace::Workspace,
};

/// All targets but benches, which have a gate of their own.
const TARGETS: [&str; 6] = ["--workspace", "--all-features", "--lib", "--bins", "--tests", "--examples"];

/// Runs all tests, or those that `args` choose.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<(), Failure> {
    process::run(runner(workspace).args(TARGETS).args(args))?;
    if !args.is_empty() {
        println!("documentation tests left out: the arguments are for the test runner");
        return Ok(());
    }
    process::run(&mut process::cargo(workspace.root(), ["test", "--doc", "--workspace", "--all-features"]))
}

/// `cargo nextest run` when it is installed, `cargo test` when it is not.
fn runner(workspace: &Workspace) -> Command {
    if !process::works(&mut process::cargo(workspace.root(), ["nextest", "--version"])) {
        println!("cargo-nextest is not installed: plain `cargo test` runs the tests");
        return process::cargo(workspace.root(), ["test", "--no-fail-fast"]);
    }
    process::cargo(workspace.root(), ["nextest", "run"])
}
