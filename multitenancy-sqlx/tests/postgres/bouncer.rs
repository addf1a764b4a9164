//! A private PgBouncer in transaction mode.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command},
    thread::sleep,
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;

/// A PgBouncer before a server, in transaction mode. It stops when dropped.
pub struct PgBouncer {
    process: Child,
    server: String,
    port: u16,
    _directory: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts before the server of `url`, with this many connections to each of its databases, and with extra
    /// settings.
    pub fn start(url: &str, size: usize, settings: &str) -> Self {
        let program =
            find().or_else(install).expect("the tests need PgBouncer: install the package pgbouncer");
        let options: PgConnectOptions = url.parse().unwrap();
        let directory = tempfile::Builder::new().prefix("pgbouncer-").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (users, config) = (directory.path().join("users"), directory.path().join("config"));
        fs::write(&users, format!("\"{}\" \"{}\"\n", options.get_username(), password(url))).unwrap();
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\nmax_client_conn = 300\n\
             default_pool_size = {size}\n{settings}\n",
            options.get_host(),
            options.get_port(),
            users.display(),
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        if is_root() {
            // It refuses to run as root.
            command.args(["-u", "postgres"]);
        }
        let process = command.arg("-q").arg(&config).spawn().unwrap();
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let mut bouncer = Self { process, server, port, _directory: directory };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(bouncer.process.try_wait().unwrap().is_none(), "PgBouncer does not start");
            sleep(Duration::from_millis(10));
        }
        bouncer
    }

    /// The server's URL, through this.
    pub fn url(&self, url: &str) -> String {
        url.replace(&self.server, &format!("127.0.0.1:{}", self.port))
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn password(url: &str) -> &str {
    let login =
        url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map_or("", |(login, _)| login);
    login.split_once(':').map_or("", |(_, password)| password)
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = env::split_paths(&path).collect();
    places.push("/usr/sbin".into());
    places.into_iter().map(|place| place.join("pgbouncer")).find(|program| program.is_file())
}

/// Debian's package, where installing is permitted.
fn install() -> Option<PathBuf> {
    if is_root() {
        for arguments in [&["-q", "update"][..], &["-q", "-y", "install", "pgbouncer"]] {
            let mut apt = Command::new("apt-get");
            // Other tests may be installing it.
            apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
            apt.env("DEBIAN_FRONTEND", "noninteractive").output().ok()?;
        }
    }
    find()
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
