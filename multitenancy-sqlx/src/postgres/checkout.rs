//! How a unit of work comes to its connection.

use multitenancy_core::{Plane, Result, actor::Origin, environment::monotonic, error::code};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};

use super::{
    builder::Timeouts,
    checked::Looking,
    engine::{self, Place},
    error::{is, store_error},
    login::Login,
    migration,
    place::{APP_ROLE, begin, storage_name},
    store::PgStore,
    unit::{Lease, Unit},
};

impl PgStore {
    pub(super) async fn unit(
        &self,
        plane: Plane,
        place: Place,
        writes: bool,
        origin: &Origin,
    ) -> Result<Unit> {
        let inner = &self.inner;
        let width = match plane {
            Plane::Control => inner.limits.control,
            Plane::Tenant(_) => inner.limits.tenant,
        };
        // From before the transaction's snapshot.
        let looking = inner.checked.looking();
        let deadline = inner.pool.deadline();
        let (lease, fresh) = loop {
            let opening = || self.connect(place);
            let leased = inner.pool.acquire((plane, width), place, deadline, opening).await?;
            let reused = leased.1.reused;
            let statement = begin((place, plane), writes, inner.pooled, &inner.local);
            let signals = inner.signals.clone();
            match Lease::begin(inner.pool.clone(), leased, statement, (plane, writes), signals).await {
                Ok(lease) => break (lease, !reused),
                // It has died while it was idle, as all do when the server is started anew; it does not answer; or it answers
                // something else, which is nobody else's to read.
                Err(_) if reused && monotonic() < deadline => {}
                Err(error) => return Err(store_error(error)),
            }
        };
        let mut unit = Unit::new(lease, plane, origin, self);
        // A database may be another one under the same name, but not while somebody is connected to it.
        let swapped = fresh && matches!(place, Place::Database(_));
        if swapped || !inner.checked.contains(plane) {
            let checked = self.check(&mut unit, looking).await;
            if let Err(error) = checked {
                // So that what is noted does not wait for a connection while it holds one.
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

    /// Looks whether the storage of a plane is there and at this program's schema.
    async fn check(&self, unit: &mut Unit, looking: Looking) -> Result<()> {
        let schema = match unit.plane {
            Plane::Control => self.control_schema(),
            Plane::Tenant(_) => self.tenant_schema(),
        };
        let plane = unit.plane;
        schema.check(unit.connection()?, plane).await?;
        self.inner.checked.remember(plane, looking);
        Ok(())
    }

    async fn connect(&self, place: Place) -> Result<PgConnection> {
        let mut options = self.inner.runtime.clone();
        if let Place::Database(tenant) = place {
            options = options.database(&storage_name(tenant));
        }
        options = match place.search_path() {
            Some(path) if !self.inner.pooled => options.options([("search_path", path)]),
            _ => options.statement_cache_capacity(0),
        };
        let mut connection = options.connect().await.map_err(|error| match place {
            Place::Database(tenant) if is(&error, "3D000") => {
                migration::missing(Plane::Tenant(tenant)).with_source(error)
            }
            _ => store_error(error),
        })?;
        engine::adopt(&mut connection).await.map_err(store_error)?;
        Ok(connection)
    }
}

/// How units of work connect, and what each transaction is told: its limits and its role. A pooler's connections keep no
/// settings, so there it is all in the transaction.
pub(super) fn told(
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
    // What sqlx tells a connection when it is opened, and RESET takes back.
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
