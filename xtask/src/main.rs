//! The repository's chores: `cargo xtask ci` is what CI runs, `cargo xtask test` is its last and longest gate.

mod arrows;
mod checklist;
mod doc_claims;
mod figures;
mod gates;
mod layers;
mod links;
mod named_tests;
mod process;
mod rules;
mod services;
mod spelling;
mod suite;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand, builder::PossibleValuesParser};

use crate::{gates::GATES, process::Failure, workspace::Workspace};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The repository's chores")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test: unit, integration, documentation
    Test {
        /// Only what needs no PostgreSQL: units, memory, SQLite and HTTP
        #[arg(long)]
        quick: bool,
        /// Arguments for the test runner; when given, documentation tests are left out
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Run every test with the full rounds of its races, twenty times over unless TESTKIT_ROUNDS says otherwise
    Nightly,
    /// Audit a PostgreSQL database for every way one tenant could reach another tenant's rows; fail on any fault
    Audit {
        /// DATABASE_URL names the database, postgres://user:password@host/database; or give the URL as the first
        /// argument, where other users of this machine see its password. Then: --login ROLE, the application's login
        /// role; --reference TABLE, which belongs to no tenant; --old-server
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "URL and OPTIONS")]
        arguments: Vec<String>,
    },
    /// Run every gate, cheapest first, and stop at the first that fails
    Ci {
        /// Run this gate alone
        #[arg(long, value_name = "GATE", value_parser = PossibleValuesParser::new(GATES.map(|gate| gate.name)))]
        only: Option<String>,
        /// List the gates and leave
        #[arg(long, conflicts_with = "only")]
        list: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Test { quick: true, args } => suite::quick(&Workspace::load()?, &args),
        Command::Test { quick: false, args } => suite::run(&Workspace::load()?, &args),
        Command::Nightly => suite::nightly(&Workspace::load()?),
        Command::Audit { arguments } => suite::audit(&Workspace::load()?, &arguments),
        Command::Ci { list: true, .. } => {
            gates::list();
            Ok(())
        }
        Command::Ci { only, .. } => gates::run(&Workspace::load()?, only.as_deref()),
    }
}
