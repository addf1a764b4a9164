//! The database that `DATABASE_URL` names.

use std::sync::Arc;

use multitenancy::{
    Error, ErrorKind, Isolation, Result, Store,
    sqlx::{PgStore, SqliteStore},
};
use secrecy::ExposeSecret;

use crate::settings::{Settings, seconds};

/// An open store of either kind.
#[derive(Clone)]
pub enum Engine {
    Sqlite(SqliteStore),
    Postgres(PgStore),
}

impl Engine {
    /// Opens the store and migrates it. `local` means that only this machine can reach the server.
    pub async fn open(settings: &Settings, local: bool) -> Result<Self> {
        let engine = Self::connect(settings, local).await?;
        engine.prepare(settings).await.map_err(|error| engine.explained(settings, error))?;
        Ok(engine)
    }

    /// Opens the store without migrating it.
    pub async fn connect(settings: &Settings, local: bool) -> Result<Self> {
        Ok(match scheme(settings.database_url.expose_secret())? {
            "sqlite" => Self::Sqlite(sqlite(settings).await?),
            "postgres" | "postgresql" => Self::Postgres(postgres(settings, local).await?),
            unknown => {
                return Err(Error::config(format!(
                    "DATABASE_URL names the driver {unknown:?}; the known drivers are sqlite, as in sqlite:data, and \
                     postgres, as in postgres://user:password@host/database"
                )));
            }
        })
    }

    /// The store.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    async fn prepare(&self, settings: &Settings) -> Result<()> {
        let store = self.store();
        if settings.auto_migrate {
            migrate(&*store).await?;
        }
        store.ping().await
    }

    /// Adds the next step to the error of a store that opens but cannot be used. Configuration errors have theirs already.
    fn explained(&self, settings: &Settings, error: Error) -> Error {
        let message = match self {
            _ if error.kind() == ErrorKind::Config => return error,
            _ if error.code() == "tenant_upgrading" => {
                "the database schema has another version than this program, and \
                AUTO_MIGRATE is false: start the server once with AUTO_MIGRATE=true"
                    .to_owned()
            }
            Self::Sqlite(_) => unreadable(settings.database_url.expose_secret()),
            Self::Postgres(_) => "the database answers, but cannot be used; see the cause below".to_owned(),
        };
        Error::config(message).with_source(error)
    }

    /// Fails if one tenant could reach another tenant's rows. The error lists each fault with its fix. SQLite keeps tenants in
    /// separate files, which need no audit.
    pub async fn audit(&self) -> Result<()> {
        let Self::Postgres(store) = self else { return Ok(()) };
        let faults: Vec<_> = store.audit().await?.iter().map(|fault| format!("\n- {fault}")).collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::config(format!(
            "the database does not keep tenants apart; the server refuses it:{}",
            faults.concat()
        )))
    }

    /// Closes all connections. SQLite's files are then complete, without a write-ahead log.
    pub async fn close(self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

/// The text before the first colon. Errors show no other part of a URL, because it may have a password.
fn scheme(url: &str) -> Result<&str> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let is_name = |scheme: &&str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    scheme.filter(is_name).ok_or_else(|| {
        Error::config(
            "DATABASE_URL names no driver: write sqlite:data, or postgres://user:password@host/database",
        )
    })
}

async fn sqlite(settings: &Settings) -> Result<SqliteStore> {
    if settings.database_admin_url.is_some() {
        return Err(Error::config(
            "DATABASE_ADMIN_URL is set, but DATABASE_URL names SQLite, which has no roles: remove it, or set \
             DATABASE_URL to postgres://user:password@host/database",
        ));
    }
    let url = settings.database_url.expose_secret();
    let most = settings.sqlite_max_open_connections as usize;
    let opened = SqliteStore::builder(url).max_open_connections(most).connect().await;
    let store = opened.map_err(|error| match error.kind() {
        ErrorKind::Config => error,
        _ => Error::config(unreadable(url)).with_source(error),
    })?;
    match settings.default_isolation {
        Some(isolation) if !store.isolations().contains(&isolation) => Err(Error::config(format!(
            "DEFAULT_ISOLATION is {isolation}, but SQLite has a file per tenant: remove it, or set it to \
             database"
        ))),
        _ => Ok(store),
    }
}

async fn postgres(settings: &Settings, local: bool) -> Result<PgStore> {
    let mut builder = PgStore::builder(settings.database_url.expose_secret())
        .default_isolation(settings.default_isolation.unwrap_or(Isolation::Shared))
        .max_connections(settings.db_max_connections as usize)
        .allow_privileged_url(local)
        .transaction_pooler(settings.db_transaction_pooler)
        .acquire_timeout(seconds(settings.db_acquire_timeout_seconds))
        .statement_timeout(seconds(settings.db_statement_timeout_seconds));
    if let Some(count) = settings.db_max_connections_per_tenant {
        builder = builder.max_connections_per_tenant(count as usize);
    }
    if let Some(url) = &settings.database_admin_url {
        builder = builder.admin_url(url.expose_secret());
    }
    builder.connect().await.map_err(|error| {
        let urls = match settings.database_admin_url {
            Some(_) => "DATABASE_URL or DATABASE_ADMIN_URL",
            None => "DATABASE_URL",
        };
        error.with_context("setting", urls)
    })
}

/// Migrates all tenants. A tenant that cannot be migrated is logged and refused; the server serves the others.
async fn migrate(store: &dyn Store) -> Result<()> {
    match store.migrate().await {
        Err(error) if error.code() == "tenants_not_migrated" => {
            tracing::error!(error = ?error, "some tenants could not be migrated; serving the others");
            Ok(())
        }
        outcome => outcome,
    }
}

fn unreadable(url: &str) -> String {
    format!(
        "the data in {url} cannot be opened; see the cause below. The user of this process needs read and write access to \
         the files. Restore a damaged control.db from a backup"
    )
}
