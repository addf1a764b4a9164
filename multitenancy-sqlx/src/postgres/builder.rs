use std::time::Duration;

use multitenancy_core::{Environment, Error, Isolation, Result};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{migrate::Migrator, postgres::PgConnectOptions};

use super::{audit::AuditOptions, hint::with_hint, store::PgStore};
use crate::pool::Limits;

/// Configures and opens a [`PgStore`].
pub struct PgStoreBuilder {
    url: SecretString,
    admin_url: Option<SecretString>,
    pub(super) environment: Environment,
    pub(super) control_migrations: Option<Migrator>,
    pub(super) tenant_migrations: Option<Migrator>,
    pub(super) default_isolation: Isolation,
    pub(super) limits: Limits,
    pub(super) per_tenant: Option<usize>,
    pub(super) timeouts: Timeouts,
    pub(super) pooled: bool,
    pub(super) allow_privileged_url: bool,
    pub(super) audit: AuditOptions,
}

/// The timeouts that PostgreSQL enforces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub statement: Duration,
    pub lock: Duration,
    pub idle: Duration,
}

impl PgStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            admin_url: None,
            environment: Environment::system(),
            control_migrations: None,
            tenant_migrations: None,
            default_isolation: Isolation::Shared,
            limits: Limits {
                open: 50,
                wait: Duration::from_secs(5),
                lifetime: Some(Duration::from_secs(3600)),
                longest: Duration::ZERO,
                defers: true,
            },
            per_tenant: None,
            timeouts: Timeouts {
                statement: Duration::from_secs(30),
                lock: Duration::from_secs(10),
                idle: Duration::from_secs(60),
            },
            pooled: false,
            allow_privileged_url: cfg!(debug_assertions),
            audit: AuditOptions::default(),
        }
    }

    /// The URL of the admin role. This role creates schemas, databases and roles, and runs migrations. It owns the
    /// tables and bypasses row-level security. Default: the store's own URL; its role then needs these rights.
    #[must_use]
    pub fn admin_url(mut self, url: &str) -> Self {
        self.admin_url = Some(url.into());
        self
    }

    /// Allows the store's own URL to name a privileged role: a superuser, a role that bypasses row-level security,
    /// creates roles or owns the objects it works on, or a role that can become such a role. Units of work then
    /// assume a restricted role on every connection; their own statements can undo this. Default: allowed in debug
    /// builds, refused otherwise.
    #[must_use]
    pub fn allow_privileged_url(mut self, allow: bool) -> Self {
        self.allow_privileged_url = allow;
        self
    }

    /// Declares a reference table: it belongs to no tenant, such as a table of countries, and units of work may only
    /// read it. A plain name means the table of that name in every schema; `reference.countries` means the table in
    /// that schema.
    #[must_use]
    pub fn reference_table(mut self, name: &str) -> Self {
        self.audit.reference_tables.push(name.to_owned());
        self
    }

    /// Allows servers older than the fixes of row-level security in PostgreSQL 17.6, 16.10, 15.14 and 14.19. Default:
    /// no.
    #[must_use]
    pub fn allow_old_server(mut self, allow: bool) -> Self {
        self.audit.old_server = allow;
        self
    }

    /// The application's migrations of the control plane. They run after the framework's migrations and have their
    /// own history.
    #[must_use]
    pub fn control_migrations(mut self, migrations: Migrator) -> Self {
        self.control_migrations = Some(migrations);
        self
    }

    /// The application's migrations of tenants. They run after the framework's migrations and have their own history.
    /// The same migrations run in the shared schema, in each tenant's schema and in each tenant's database: write
    /// names without a schema, and write `SELECT multitenancy.protect('projects')` after each table.
    #[must_use]
    pub fn tenant_migrations(mut self, migrations: Migrator) -> Self {
        self.tenant_migrations = Some(migrations);
        self
    }

    /// The isolation of tenants that do not specify one. Default: [`Isolation::Shared`].
    #[must_use]
    pub fn default_isolation(mut self, isolation: Isolation) -> Self {
        self.default_isolation = isolation;
        self
    }

    /// The maximum number of open connections, over all tenants and all isolations: 1 to 10,000. Default 50.
    /// Listening for changes by other processes takes one more connection; migrations and provisioning take a few
    /// while they run. The server needs a moment to end closed connections: set the server's limit a little higher.
    #[must_use]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.open = count;
        self
    }

    /// The maximum number of connections that one tenant may use at once: 1 to 10,000. A burst of one tenant leaves
    /// the rest to other tenants. Default: half of the open connections.
    #[must_use]
    pub fn max_connections_per_tenant(mut self, count: usize) -> Self {
        self.per_tenant = Some(count);
        self
    }

    /// The maximum time that a unit of work waits for a permit before it is refused as overloaded: up to one hour.
    /// Default 5 s.
    #[must_use]
    pub fn acquire_timeout(mut self, wait: Duration) -> Self {
        self.limits.wait = wait;
        self
    }

    /// The maximum age of a connection. An older connection is closed when it is next returned; so the store uses
    /// newly added servers, and old connections free their memory. Default 3600 s.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.limits.lifetime = Some(lifetime);
        self
    }

    /// Declares that the store's URL leads to a pooler in transaction mode, such as PgBouncer, which gives each
    /// transaction any free connection. The store then keeps no state on connections: statements are prepared for one
    /// transaction (`persistent(false)` prevents a long loop from accumulating them), and each transaction sets its
    /// own limits. Migrations, provisioning and listening for changes need direct connections: set an
    /// [`admin_url`](Self::admin_url) that leads to the server. Default `false`.
    ///
    /// Tenants with their own database work when the pooler leads to every database (`* = host=…`).
    #[must_use]
    pub fn transaction_pooler(mut self, pooled: bool) -> Self {
        self.pooled = pooled;
        self
    }

    /// The maximum duration of a statement: 1 ms to 24 h. Default 30 s.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.statement = timeout;
        self
    }

    /// The maximum time that a statement waits for a lock: 1 ms to 24 h. Default 10 s.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.lock = timeout;
        self
    }

    /// The maximum idle time of a transaction: 1 s to 24 h. Default 60 s.
    #[must_use]
    pub fn idle_in_transaction_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.idle = timeout;
        self
    }

    /// The clock and the randomness of the store. Default: the system's.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Connects, and creates the control plane if it does not exist.
    ///
    /// Fails when a limit is out of range, when a URL is not `postgres://…`, when the server does not answer, refuses
    /// the login or does not know the database, when a role lacks a right, and when one tenant could reach another
    /// tenant's rows: a privileged role, an unprotected table, a key without `tenant_id` and so on. Each error states
    /// the remedy, in SQL where SQL fixes it. No error contains a password. [`audit`](crate::audit) reports the same
    /// faults.
    pub async fn connect(mut self) -> Result<PgStore> {
        self.validate()?;
        // The longest statement, plus time for the answer.
        self.limits.longest = self.timeouts.statement + self.limits.wait;
        // Between two units, other clients can use a pooler's connection to the server.
        self.limits.defers = !self.pooled;
        let runtime = options(self.url.expose_secret())?;
        let admin = self.admin_url.as_ref().map(|url| options(url.expose_secret())).transpose()?;
        if self.pooled && admin.is_none() {
            return Err(Error::config(
                "behind a pooler the store needs an admin URL that goes to the server: migrations lock, and locks are a \
                 connection's",
            ));
        }
        let opened = PgStore::open(self, runtime.clone(), admin.clone()).await;
        opened.map_err(|error| with_hint(error, &runtime, admin.as_ref()))
    }

    fn validate(&self) -> Result<()> {
        for (name, count) in
            [("max_connections", Some(self.limits.open)), ("max_connections_per_tenant", self.per_tenant)]
        {
            if count.is_some_and(|count| !(1..=MOST).contains(&count)) {
                return Err(Error::config(format!("{name} must be 1 to {MOST}")));
            }
        }
        if self.limits.wait > LONGEST_WAIT {
            return Err(Error::config(format!("acquire_timeout must be at most {LONGEST_WAIT:?}")));
        }
        let Timeouts { statement, lock, idle } = self.timeouts;
        for (name, timeout, shortest) in [
            ("statement_timeout", statement, SHORTEST),
            ("lock_timeout", lock, SHORTEST),
            ("idle_in_transaction_timeout", idle, SHORTEST_IDLE),
        ] {
            if !(shortest..=LONGEST).contains(&timeout) {
                return Err(Error::config(format!(
                    "{name} must be {shortest:?} to 24 h, and not {timeout:?}"
                )));
            }
        }
        Ok(())
    }
}

/// More than any server allows.
const MOST: usize = 10_000;
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// PostgreSQL reads zero as no limit.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longer than a finished read waits for its rollback.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Error::config(
            "the database URL is not of PostgreSQL: write postgres://user:password@host/database",
        ));
    }
    // The original message may quote the password.
    url.parse().map_err(|_| {
        Error::config("the database URL cannot be read: write postgres://user:password@host/database")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(PgStoreBuilder) -> PgStoreBuilder) -> String {
        change(PgStoreBuilder::new("postgres://localhost/app")).validate().unwrap_err().to_string()
    }

    #[test]
    fn bounds_out_of_range_are_refused_by_name() {
        PgStoreBuilder::new("postgres://localhost/app").validate().unwrap();
        let (none, year) = (Duration::ZERO, Duration::from_secs(366 * 24 * 3600));
        for (said, name) in [
            (refused(|builder| builder.max_connections(0)), "max_connections "),
            (refused(|builder| builder.max_connections(usize::MAX)), "max_connections "),
            (refused(|builder| builder.max_connections_per_tenant(0)), "max_connections_per_tenant "),
            (refused(|builder| builder.acquire_timeout(year)), "acquire_timeout "),
            (refused(|builder| builder.statement_timeout(none)), "statement_timeout "),
            (refused(|builder| builder.statement_timeout(year)), "statement_timeout "),
            (refused(|builder| builder.lock_timeout(none)), "lock_timeout "),
            (refused(|builder| builder.idle_in_transaction_timeout(none)), "idle_in_transaction_timeout "),
        ] {
            assert!(said.starts_with(name), "{said}");
        }
    }
}
