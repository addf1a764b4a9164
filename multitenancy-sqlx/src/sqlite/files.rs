//! The data directory: its lock, its layout and its secrets.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use multitenancy_core::{Environment, Error, Plane, Result};
use secrecy::{ExposeSecret, SecretString};

/// A directory that only this process uses, until dropped.
///
/// ```text
/// lock                 held by the process that uses the directory
/// control.db           the registry and the platform's users
/// tenants/<id>.db      one file per tenant
/// secrets/<name>       random secrets, readable by their owner only
/// ```
#[derive(Debug)]
pub(super) struct DataDirectory {
    root: PathBuf,
    /// Holds the lock. Caches and signals live in one process, so one process serves the directory.
    _lock: File,
}

impl DataDirectory {
    pub fn open(root: &Path) -> Result<Self> {
        let fault = |what: &str, error: std::io::Error| {
            let root = root.display();
            Error::config(format!(
                "{what} {root}: {error}; this process's user must be able to create it and write to it"
            ))
        };
        create_private_directory(&root.join("tenants"))
            .map_err(|e| fault("cannot create the directory", e))?;
        create_private_directory(root).map_err(|error| fault("cannot use the directory", error))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))
            .map_err(|error| fault("cannot use the directory", error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::config(format!(
                "the data directory {} is in use by another process: stop that process, or give this one a directory of \
                 its own",
                root.display()
            ))),
            Err(TryLockError::Error(error)) => Err(fault("cannot lock the directory", error)),
        }
    }

    /// The file of a plane. Its name is the tenant's id, which has one spelling and contains only hex digits and
    /// hyphens (S123).
    pub fn database(&self, plane: Plane) -> PathBuf {
        match plane {
            Plane::Control => self.root.join("control.db"),
            Plane::Tenant(id) => self.root.join("tenants").join(format!("{id}.db")),
        }
    }

    pub fn has_database(&self, plane: Plane) -> bool {
        self.database(plane).exists()
    }

    /// Removes a plane's file and the files that SQLite keeps beside it.
    pub fn remove_database(&self, plane: Plane) -> Result<()> {
        let database = self.database(plane);
        // The database is removed last: while it exists, the removal can be repeated.
        for suffix in ["-wal", "-shm", ""] {
            let mut path = database.clone().into_os_string();
            path.push(suffix);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::internal(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The secret called `name`, created at the first call. A truncated secret, or one that others can read, is an
    /// error that states the remedy.
    pub fn secret(&self, name: &str, environment: &Environment) -> Result<SecretString> {
        let directory = self.root.join("secrets");
        let path = directory.join(name);
        let fault = |error: std::io::Error| {
            Error::config(format!("cannot keep the secret {}: {error}", path.display())).with_source(error)
        };
        match fs::read_to_string(&path) {
            Ok(text) => {
                check_secret(&path, &text)?;
                return Ok(text.into());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(fault(error)),
        }
        create_private_directory(&directory).map_err(fault)?;
        let secret: SecretString =
            environment.bytes::<48>().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        // Written completely or not at all: a crash must not leave a truncated secret for the next start.
        let partial = directory.join(format!("{name}.new"));
        let mut file = private_file(&partial).map_err(fault)?;
        file.write_all(secret.expose_secret().as_bytes()).map_err(fault)?;
        file.sync_all().map_err(fault)?;
        fs::rename(&partial, &path).map_err(fault)?;
        Ok(secret)
    }
}

fn check_secret(path: &Path, text: &str) -> Result<()> {
    const SHORTEST: usize = 32;
    let file = path.display();
    let length = text.trim().len();
    if length < SHORTEST {
        return Err(Error::config(format!(
            "the secret {file} has {length} bytes, fewer than {SHORTEST}: restore it from a backup, or delete it to have \
             a new one made, which ends what the old one has signed"
        )));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(Error::internal)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::config(format!(
                "the secret {file} is open to others (its mode is {mode:03o}): delete it to have a new one made, or run \
                 `chmod 600 {file}` if no other user has read it"
            )));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn create_private_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    use std::os::unix::fs::PermissionsExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // An existing directory may be open to all users. If another user owns it, its permissions stay as they are.
    match fs::set_permissions(path, fs::Permissions::from_mode(0o700)) {
        Err(error) if error.kind() != ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn create_private_directory(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
