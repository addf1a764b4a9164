//! The checks that must pass before a change lands, cheapest first.
#![expect(
    clippy::disallowed_methods,
    reason = "a gate tells how long it took, and there is no `Environment`"
)]

use std::{path::PathBuf, process::Command, time::Instant};

use crate::{
    arrows, doc_claims, layers, links,
    process::{self, Failure, cargo},
    rules, services, spelling, suite,
    workspace::Workspace,
};

const MACHETE: &str = "0.9.2";

/// One check.
pub struct Gate {
    /// Its name for `--only`.
    pub name: &'static str,
    about: &'static str,
    check: fn(&Workspace) -> Result<(), Failure>,
}

/// All gates, in the order they run.
pub const GATES: [Gate; 15] = [
    Gate { name: "fmt", about: "the code is formatted", check: fmt },
    Gate { name: "arrows", about: "crates depend only where the design lets them", check: arrows },
    Gate { name: "links", about: "links between Markdown files lead somewhere", check: links },
    Gate { name: "doc-claims", about: "documented programs and tests exist", check: doc_claims },
    Gate { name: "rules", about: "house rules no compiler knows", check: rules },
    Gate { name: "layers", about: "no module of the core imports against its drawing", check: layers },
    Gate { name: "spelling", about: "no word is misspelt that often is", check: spelling },
    Gate { name: "toolchain", about: "CI and rust-toolchain.toml name one compiler", check: toolchain },
    Gate { name: "unused", about: "no dependency is unused (cargo-machete)", check: unused },
    Gate {
        name: "features",
        about: "published crates build with each feature alone, and with none",
        check: features,
    },
    Gate { name: "clippy", about: "no warning, in any target", check: clippy },
    Gate { name: "docs", about: "the documentation builds without a warning", check: docs },
    Gate { name: "examples", about: "the examples' demonstrations end well", check: examples },
    Gate { name: "benches", about: "the benchmarks run, briefly", check: benches },
    Gate { name: "test", about: "every test, as `cargo xtask test` runs them", check: test },
];

/// Prints the gates.
pub fn list() {
    for Gate { name, about, .. } in GATES {
        println!("{name:<12}{about}");
    }
}

/// Runs all gates, or the one called `only`; stops at the first failure.
pub fn run(workspace: &Workspace, only: Option<&str>) -> Result<(), Failure> {
    let start = Instant::now();
    for gate in GATES.iter().filter(|gate| only.is_none_or(|name| name == gate.name)) {
        pass(workspace, gate)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    match only {
        Some(_) => println!("\nthis gate alone passed: the others were not run"),
        None => println!("\nall {} gates passed in {seconds:.1} s", GATES.len()),
    }
    Ok(())
}

fn pass(workspace: &Workspace, Gate { name, about, check }: &Gate) -> Result<(), Failure> {
    println!("\n=== {name}: {about}");
    let start = Instant::now();
    let outcome = check(workspace);
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => println!("=== {name}: passed in {seconds:.1} s"),
        Err(failure) => {
            return Err(Failure::new(format!(
                "{failure}\n=== {name}: FAILED after {seconds:.1} s. Alone: cargo xtask ci --only {name}"
            )));
        }
    }
    Ok(())
}

fn fmt(workspace: &Workspace) -> Result<(), Failure> {
    process::run(&mut cargo(workspace.root(), ["fmt", "--all", "--check"]))
}

fn arrows(workspace: &Workspace) -> Result<(), Failure> {
    Failure::of(&arrows::violations(&arrows::Graph::of(workspace)))?;
    arrows::no_heavy_crates(workspace)
}

fn links(workspace: &Workspace) -> Result<(), Failure> {
    Failure::of(&links::broken(workspace.root(), &workspace.files("md")?))
}

fn doc_claims(workspace: &Workspace) -> Result<(), Failure> {
    let mut code = workspace.files("rs")?;
    code.extend(workspace.files("sql")?);
    Failure::of(&doc_claims::faults(&workspace.files("md")?, &code))
}

fn rules(workspace: &Workspace) -> Result<(), Failure> {
    let mut files = workspace.files("rs")?;
    files.extend(workspace.files("sql")?);
    Failure::of(&files.iter().flat_map(rules::violations).collect::<Vec<_>>())
}

fn layers(workspace: &Workspace) -> Result<(), Failure> {
    Failure::of(&layers::violations(&workspace.files("md")?, &workspace.files("rs")?))
}

fn spelling(workspace: &Workspace) -> Result<(), Failure> {
    let mut files = workspace.files("rs")?;
    for extension in ["md", "sql", "toml"] {
        files.extend(workspace.files(extension)?);
    }
    Failure::of(&spelling::faults(&files))
}

/// The workflows install the toolchain of rust-toolchain.toml, so that no second place can name another version.
fn toolchain(workspace: &Workspace) -> Result<(), Failure> {
    let named: Vec<_> = workspace
        .files("yml")?
        .into_iter()
        .filter(|file| file.path.starts_with(".github/") && file.text.contains("rustup default"))
        .map(|file| format!("{}: `rustup default` names a compiler besides rust-toolchain.toml", file.path))
        .collect();
    Failure::of(&named)
}

fn unused(workspace: &Workspace) -> Result<(), Failure> {
    let mut machete = cargo(workspace.root(), ["machete"]);
    if !process::works(&mut cargo(workspace.root(), ["machete", "--version"])) {
        machete = Command::new(own_machete(workspace)?);
        machete.current_dir(workspace.root());
    }
    process::run(&mut machete)
}

/// The cargo-machete under the target directory, installed there at the first use.
fn own_machete(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let tools = workspace.target().join("tools");
    let program = tools.join("bin").join(format!("cargo-machete{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        println!("cargo-machete is not installed: installing it into {}, a minute or two", tools.display());
        let install = ["install", "cargo-machete", "--version", MACHETE, "--locked", "--root"];
        process::run(cargo(workspace.root(), install).arg(&tools))?;
    }
    Ok(program)
}

fn features(workspace: &Workspace) -> Result<(), Failure> {
    for package in workspace.published() {
        let check = ["check", "--quiet", "--no-default-features", "-p", package.name.as_str()];
        process::run(&mut cargo(workspace.root(), check))?;
        for feature in package.features.keys() {
            process::run(cargo(workspace.root(), check).args(["--features", feature]))?;
        }
    }
    Ok(())
}

fn clippy(workspace: &Workspace) -> Result<(), Failure> {
    let everything = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    process::run(&mut cargo(workspace.root(), everything))
}

fn docs(workspace: &Workspace) -> Result<(), Failure> {
    let mut doc = cargo(workspace.root(), ["doc", "--workspace", "--no-deps", "--all-features"]);
    process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The tracker is a server that runs until it is stopped: its own test starts and uses it.
fn examples(workspace: &Workspace) -> Result<(), Failure> {
    process::run(&mut cargo(workspace.root(), ["run", "--quiet", "-p", "example-server", "--", "--demo"]))?;
    process::run(&mut cargo(workspace.root(), ["run", "--quiet", "-p", "example-custom-adapter"]))
}

/// A bench target without `--bench`, as under `cargo test`, runs a short smoke test of itself.
fn benches(workspace: &Workspace) -> Result<(), Failure> {
    services::install_programs()?;
    process::run(&mut cargo(workspace.root(), ["test", "-p", "multitenancy-benches", "--benches"]))
}

fn test(workspace: &Workspace) -> Result<(), Failure> {
    suite::run(workspace, &[])
}
