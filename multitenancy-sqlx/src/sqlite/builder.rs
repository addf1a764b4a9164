use std::{path::PathBuf, time::Duration};

use multitenancy_core::{Environment, Error, Result};
use sqlx::migrate::Migrator;

use super::store::SqliteStore;
use crate::pool::Limits;

/// How much recent work a power loss may lose. A process crash loses nothing in either mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// Nothing: a commit is on disk before it is answered. The default.
    #[default]
    Full,
    /// The commits since the file's last checkpoint: whole commits, the newest first. Several times faster.
    Normal,
}

/// The maximum number of connections of each kind: the default thread limit of a Linux process.
const MOST: usize = 32_768;

/// The longest wait for a permit.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Connections to files have no maximum age, and no timeout limits a statement.
pub(super) fn limits(open: usize, wait: Duration) -> Limits {
    Limits { open, wait, lifetime: None, longest: Duration::MAX, defers: true }
}

/// Configures and opens a [`SqliteStore`].
pub struct SqliteStoreBuilder {
    pub(super) url: String,
    pub(super) environment: Environment,
    pub(super) control_migrations: Option<Migrator>,
    pub(super) tenant_migrations: Option<Migrator>,
    pub(super) limits: Limits,
    pub(super) readers: usize,
    pub(super) busy_timeout: Duration,
    pub(super) synchronous: Synchronous,
}

impl SqliteStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            environment: Environment::system(),
            control_migrations: None,
            tenant_migrations: None,
            limits: limits(128, Duration::from_secs(5)),
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            synchronous: Synchronous::default(),
        }
    }

    /// The application's migrations of the control file. They run after the framework's migrations and have their own
    /// history.
    #[must_use]
    pub fn control_migrations(mut self, migrations: Migrator) -> Self {
        self.control_migrations = Some(migrations);
        self
    }

    /// The application's migrations of each tenant's file. They run after the framework's migrations and have their
    /// own history.
    #[must_use]
    pub fn tenant_migrations(mut self, migrations: Migrator) -> Self {
        self.tenant_migrations = Some(migrations);
        self
    }

    /// The maximum number of open connections to tenants' files: 1 to 32,768. Each is a thread. Default 128. The
    /// control file has five more of its own.
    ///
    /// Set it higher than the number of tenants that write at about the same time: opening a file costs about as much
    /// as ten commits to it.
    #[must_use]
    pub fn max_open_connections(mut self, count: usize) -> Self {
        self.limits.open = count;
        self
    }

    /// The maximum number of readers of one tenant's file, in addition to its one writer: 1 to 32,768. Default 4.
    #[must_use]
    pub fn max_readers_per_tenant(mut self, count: usize) -> Self {
        self.readers = count;
        self
    }

    /// The maximum time that a unit of work waits for a permit before it is refused as overloaded: at most 3,600 s.
    /// Default 5 s.
    #[must_use]
    pub fn acquire_timeout(mut self, wait: Duration) -> Self {
        self.limits.wait = wait;
        self
    }

    /// How much recent work a power loss may lose. Default: nothing.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// The clock and the randomness of the store. Default: the system's.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Opens the data directory, creates it if it does not exist, and migrates the control file to the newest schema.
    ///
    /// Fails when the URL is not `sqlite:<directory>`, when a limit is out of range, when the directory cannot be
    /// used, or when another process uses it.
    pub async fn connect(self) -> Result<SqliteStore> {
        for (what, count) in [("open connections", self.limits.open), ("readers of a file", self.readers)] {
            if !(1..=MOST).contains(&count) {
                return Err(Error::config(format!("the store needs 1 to {MOST} {what}, not {count}")));
            }
        }
        if self.limits.wait > LONGEST_WAIT {
            let (most, given) = (LONGEST_WAIT.as_secs(), self.limits.wait.as_secs());
            return Err(Error::config(format!("a unit of work waits for at most {most} s, not {given} s")));
        }
        let directory = directory(&self.url)?;
        SqliteStore::open(self, directory).await
    }
}

/// The directory of a URL such as `sqlite:data`, `sqlite:/var/lib/app` or `sqlite://data`.
fn directory(url: &str) -> Result<PathBuf> {
    let refuse = |why: &str| {
        Err(Error::config(format!(
            "the database URL {url:?} {why}; write sqlite:<directory>, such as sqlite:data"
        )))
    };
    let Some(path) = url.strip_prefix("sqlite:") else { return refuse("is not of SQLite") };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return refuse("names no directory");
    }
    if path.contains(":memory:") || path.contains('?') {
        return refuse("names a database in memory or has parameters, which a file per tenant cannot have");
    }
    let path = PathBuf::from(path);
    if path.is_file() {
        return refuse("names a file, where a directory is needed");
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_directory_or_is_refused() {
        for (url, path) in [("sqlite:data", "data"), ("sqlite://data", "data"), ("sqlite:/var/x", "/var/x")] {
            assert_eq!(directory(url).unwrap(), PathBuf::from(path), "{url}");
        }
        for wrong in
            ["", "data", "sqlite:", "sqlite://", "sqlite::memory:", "sqlite:data?mode=rwc", "postgres://x"]
        {
            let error = directory(wrong).unwrap_err().to_string();
            assert!(error.contains("write sqlite:<directory>"), "{wrong}: {error}");
        }
    }
}
