//! How a unit of work gets its connection.

use multitenancy_core::{Plane, Result, actor::Origin, environment::monotonic, error::code};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};

use super::{
    builder::Timeouts,
    engine,
    error::{is, store_error},
    location::PoolKey,
    location::{APP_ROLE, begin, storage_name},
    login::Login,
    schema,
    schema_cache::CheckTicket,
    store::PgStore,
    unit::{Lease, Unit, UnitSpec},
};
use crate::pool::waiting;

impl PgStore {
    pub(super) async fn unit(&self, spec: UnitSpec, origin: &Origin) -> Result<Unit> {
        let (inner, plane, key) = (&self.inner, spec.plane, spec.location.key());
        let width = match plane {
            Plane::Control => inner.limits.control,
            Plane::Tenant(_) => inner.limits.tenant,
        };
        // Taken before the transaction's snapshot.
        let ticket = inner.schema_cache.ticket();
        let deadline = inner.pool.deadline();
        let (lease, fresh) = loop {
            let opening = || self.connect(key);
            let mut leased = inner.pool.acquire((plane, width), key, deadline, opening).await?;
            let reused = leased.1.reused;
            if inner.pooled && !reused {
                // The pooler has answered, and may let its client wait for one of its own connections.
                waiting(deadline, engine::adopt(&mut leased.0)).await?.map_err(store_error)?;
            }
            let statement = begin(spec, inner.pooled, &inner.local);
            let signals = inner.signals.clone();
            match Lease::begin(inner.pool.clone(), leased, statement, spec, signals).await {
                Ok(lease) => break (lease, !reused),
                // The connection died while idle (for example, the server restarted), does not answer, or gives an
                // answer to another message: take another one.
                Err(_) if reused && monotonic() < deadline => {}
                Err(error) => return Err(store_error(error)),
            }
        };
        let mut unit = Unit::new(lease, plane, origin, self);
        // A database may be replaced by another of the same name, but not while it has connections.
        let swapped = fresh && matches!(key, PoolKey::Database(_));
        if swapped || !inner.schema_cache.contains(plane) {
            let checked = self.check(&mut unit, ticket).await;
            if let Err(error) = checked {
                // Drop first: the note below must not wait for a connection while this unit holds one.
                drop(unit);
                if error.is(code::TENANT_UPGRADING)
                    && let Plane::Tenant(tenant) = plane
                {
                    Box::pin(self.note_outdated(tenant, self.tenant_schema().migrations.fingerprint())).await;
                }
                return Err(error);
            }
        }
        Ok(unit)
    }

    /// Checks that the storage of the plane exists and is at this program's schema.
    async fn check(&self, unit: &mut Unit, ticket: CheckTicket) -> Result<()> {
        let schema = match unit.plane {
            Plane::Control => self.control_schema(),
            Plane::Tenant(_) => self.tenant_schema(),
        };
        let plane = unit.plane;
        schema.check(unit.connection()?, plane).await?;
        self.inner.schema_cache.remember(plane, ticket);
        Ok(())
    }

    /// A new connection, ready for its first unit; behind a pooler it is still to be adopted.
    async fn connect(&self, key: PoolKey) -> Result<PgConnection> {
        let mut options = self.inner.runtime.clone();
        if let PoolKey::Database(tenant) = key {
            options = options.database(&storage_name(tenant));
        }
        options = match key.search_path() {
            Some(path) if !self.inner.pooled => options.options([("search_path", path)]),
            _ => options.statement_cache_capacity(0),
        };
        let mut connection = options.connect().await.map_err(|error| match key {
            PoolKey::Database(tenant) if is(&error, "3D000") => {
                schema::missing(Plane::Tenant(tenant)).with_source(error)
            }
            _ => store_error(error),
        })?;
        if !self.inner.pooled {
            engine::adopt(&mut connection).await.map_err(store_error)?;
        }
        Ok(connection)
    }
}

/// The connection options of units of work, and the settings of each transaction: its limits and its role. A pooler's
/// connections keep no settings, so there every setting is made in the transaction.
pub(super) fn session_settings(
    login: &Login,
    name: &str,
    timeouts: Timeouts,
    pooled: bool,
) -> (PgConnectOptions, String) {
    let Timeouts { statement, lock, idle } = timeouts;
    let bounds = [
        ("statement_timeout", statement),
        ("lock_timeout", lock),
        ("idle_in_transaction_session_timeout", idle),
    ];
    let mut settings: Vec<_> =
        bounds.into_iter().map(|(setting, bound)| (setting, bound.as_millis().to_string())).collect();
    if login.role.is_none() {
        settings.push(("role", APP_ROLE.to_owned()));
    }
    let options = login.options.clone().application_name(name);
    if !pooled {
        return (options.options(settings), String::new());
    }
    // The settings that sqlx makes when it opens a connection, and that RESET reverts.
    let session = [
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, MDY"),
        ("client_encoding", "UTF8"),
        ("application_name", name),
    ];
    settings.extend(session.map(|(setting, value)| (setting, value.to_owned())));
    let local = settings
        .iter()
        .map(|(setting, value)| format!(", set_config('{setting}', '{value}', true)"))
        .collect();
    (options, local)
}
