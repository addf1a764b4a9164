//! The server that the tests of the PostgreSQL store need: started here or named by the environment, with its
//! programs installed. It is never left out.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::{
    process::{self, Failure, cargo, output, works},
    workspace::Workspace,
};

/// The variable that names the server, also for the tests.
const VARIABLE: &str = "DATABASE_URL";

/// Tests that open hundreds of connections run in parallel.
const SETTINGS: &str = "max_connections = 600";

/// A PostgreSQL server, with a role that may create databases and roles.
pub struct Postgres {
    url: String,
    own: Option<Own>,
}

/// A server for this run only. It ends with this program, however the program ends.
struct Own(Child);

/// Ensures that PostgreSQL's programs are installed: some tests and benchmarks start their own servers, to kill them.
pub fn install_programs() -> Result<(), Failure> {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places = env::split_paths(&path).chain(debian.map(|version| version.path().join("bin")));
    if places.any(|bin| bin.join("initdb").is_file()) { Ok(()) } else { install() }
}

impl Postgres {
    /// The server of `DATABASE_URL`; otherwise a server for this run only. An existing server is not used by default:
    /// it is slower, it has its own settings, and other tools may be connected to it.
    pub fn find(workspace: &Workspace) -> Result<Self, Failure> {
        if let Some(url) = env::var(VARIABLE).ok().filter(|url| !url.is_empty()) {
            println!("PostgreSQL: the one that {VARIABLE} names");
            return Ok(Self { url, own: None });
        }
        Self::start(workspace)
    }

    /// Passes the server's address to the tests.
    pub fn tell(&self, command: &mut Command) {
        command.env(VARIABLE, &self.url);
        if self.own.is_some() {
            // They end with the server.
            command.env("TESTKIT_TEMPLATES", "1");
        }
    }

    fn start(workspace: &Workspace) -> Result<Self, Failure> {
        let program =
            ["run", "--quiet", "-p", "multitenancy-testkit", "--example", "postgres_server", "--", SETTINGS];
        let mut program = cargo(workspace.root(), program);
        let fault = |error: std::io::Error| Failure::new(format!("no PostgreSQL of our own: {error}"));
        // Ctrl-C ends this program's process group. The server stops cleanly when its standard input closes.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut program, 0);
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(fault)?;
        let mut url = String::new();
        if let Some(said) = child.stdout.take() {
            BufReader::new(said).read_line(&mut url).map_err(fault)?;
        }
        let own = Own(child);
        let url = url.trim().to_owned();
        if url.is_empty() {
            return Err(Failure::new("no PostgreSQL of our own could be started"));
        }
        println!("PostgreSQL: one of our own, at {url}");
        Ok(Self { url, own: Some(own) })
    }
}

impl Drop for Own {
    /// The server stops when its standard input closes.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _stopped = self.0.wait();
    }
}

fn install() -> Result<(), Failure> {
    let missing = || {
        Failure::new(format!(
            "the tests need PostgreSQL 15 or newer: install its server, which Debian calls postgresql; {VARIABLE} may name \
             another one for most of them, as a role that may make databases and roles"
        ))
    };
    if !is_root() || !works(Command::new("apt-get").arg("--version")) {
        return Err(missing());
    }
    println!("PostgreSQL is not installed: installing Debian's package");
    let quiet = |command: &mut Command| process::run(command.env("DEBIAN_FRONTEND", "noninteractive"));
    quiet(Command::new("apt-get").args(["-q", "update"])).map_err(|_| missing())?;
    quiet(Command::new("apt-get").args(["-q", "-y", "install", "postgresql"])).map_err(|_| missing())
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
