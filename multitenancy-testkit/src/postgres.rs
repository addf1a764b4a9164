//! A private PostgreSQL server, for tests that may do anything to it: kill it, fill it, take its rights away.

use std::{
    env, fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// Debian's name for who runs the server; it refuses to run as root.
const USER: &str = "postgres";

/// A directory in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// The free memory there, in KiB, that servers of several tests at once fill by less than half. Docker gives 64 MiB.
const ROOM: u64 = 4 << 20;

/// A server on a port and in a directory of its own, started from installed programs, which needs PostgreSQL 15 or
/// newer. It trusts every connection from this machine, and its superuser is `postgres`. It ends when it is dropped, and
/// also when its process is killed.
///
/// Its files are in memory where `/dev/shm` has 4 GiB free, else in the directory for temporary files. A crash of the
/// machine may lose what it has acknowledged (`fsync = off`): that makes it fast. A crash of the server loses nothing.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    directory: PathBuf,
    port: u16,
    guard: Child,
}

impl PostgresServer {
    /// Starts one, with settings of its own besides, such as `max_connections=100`.
    ///
    /// Fails with [`NotFound`](io::ErrorKind::NotFound) when PostgreSQL's programs are neither on the path nor where
    /// Debian puts them, and with what they have said when they fail.
    pub fn start(settings: &[&str]) -> io::Result<Self> {
        let programs = programs().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "initdb was not found: install PostgreSQL's server")
        })?;
        let directory = directory()?;
        let guard = guard(&programs, directory.path())?;
        // From here on the guard removes the directory.
        let directory = directory.keep();
        if is_root()? {
            run(Command::new("chown").arg(USER).arg(&directory))?;
        }
        // Taken and given back: a port that is free at present.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { programs, directory, port, guard };
        let initdb = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D"];
        run(server.program("initdb")?.args(initdb).arg(server.data()))?;
        let mut own =
            format!("port = {port}\nlisten_addresses = '127.0.0.1'\nfsync = off\nfull_page_writes = off\n");
        own.push_str(&format!("unix_socket_directories = '{}'\n", server.directory.display()));
        own.push_str("max_connections = 300\n");
        for setting in settings {
            own.push_str(&format!("{setting}\n"));
        }
        let file = server.data().join("postgresql.conf");
        fs::write(&file, fs::read_to_string(&file)? + &own)?;
        server.resume()?;
        Ok(server)
    }

    /// Where it is, as its superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all its processes at once, as `kill -9` does. What it has acknowledged is in its files.
    pub fn kill(&self) -> io::Result<()> {
        self.signal("KILL")
    }

    /// Stops all its processes where they are, or lets them go on: it answers nothing, and is there.
    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        self.signal(if frozen { "STOP" } else { "CONT" })
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let file = fs::read_to_string(self.data().join("postmaster.pid"))?;
        let pid = file.lines().next().unwrap_or_default();
        // A process that ends between the two lines needs no signal any more.
        let script = format!(
            "children=$(cat /proc/{pid}/task/{pid}/children) && kill -{signal} {pid} || exit 1; \
             for child in $children; do kill -{signal} $child 2>/dev/null; done; true"
        );
        run(Command::new("sh").args(["-c", &script]))
    }

    /// Starts it again on the same files and the same port.
    pub fn resume(&self) -> io::Result<()> {
        let log = self.log_file();
        let mut attempts = 0..50;
        loop {
            let mut start = self.program("pg_ctl")?;
            // Its standard output would be the server's for as long as it runs.
            start.stdout(Stdio::null()).stderr(Stdio::null());
            let started =
                start.arg("-w").arg("-D").arg(self.data()).arg("-l").arg(&log).arg("start").status()?;
            if started.success() {
                return Ok(());
            }
            // Of a killed one some processes may take a moment to end.
            if attempts.next().is_none() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(io::Error::other(format!("PostgreSQL does not start: {said}")));
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// What it has written to its log so far. With `log_statement = all` among the settings, that is every statement.
    pub fn log(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_file())?).into_owned())
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn program(&self, name: &str) -> io::Result<Command> {
        let mut command = program(&self.programs.join(name))?;
        command.current_dir(&self.directory);
        Ok(command)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ended = self.guard.wait();
    }
}

/// In memory where there is room.
fn directory() -> io::Result<tempfile::TempDir> {
    let room = Command::new("df").args(["-Pk", MEMORY]).output().ok().and_then(|df| {
        let said = String::from_utf8(df.stdout).ok()?;
        said.lines().last()?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("postgres-");
    if room.is_some_and(|room| room >= ROOM) { builder.tempdir_in(MEMORY) } else { builder.tempdir() }
}

/// Stops the server and removes its directory once our end of its standard input is closed: by a drop, or by the end of
/// this process, whatever the cause.
fn guard(programs: &Path, directory: &Path) -> io::Result<Child> {
    let script = "cat; kill -CONT $(head -n 1 data/postmaster.pid); cd /; \"$@\"; rm -rf \"$0\"";
    let stop = program(&programs.join("pg_ctl"))?;
    let mut guard = Command::new("sh");
    guard.args(["-c", script]).arg(directory).arg(stop.get_program()).args(stop.get_args());
    guard.args(["-m", "immediate", "-D"]).arg(directory.join("data")).arg("stop").current_dir(directory);
    // Ctrl-C and the time limits of test runners end a process group: this one has its work yet to do.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut guard, 0);
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// A program as the user who may run it.
fn program(path: &Path) -> io::Result<Command> {
    if !is_root()? {
        return Ok(Command::new(path));
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"]).arg(path);
    Ok(command)
}

/// Where `initdb` and `pg_ctl` are: on the path, or where Debian puts its newest.
fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort_by_key(|bin| {
        let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|name| name.parse::<u32>().ok())
    });
    env::split_paths(&path).chain(debian.into_iter().rev()).find(|bin| bin.join("initdb").is_file())
}

fn is_root() -> io::Result<bool> {
    Ok(Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0")
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}
