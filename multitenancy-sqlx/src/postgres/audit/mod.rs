//! Checks the catalogue for every way one tenant could reach another tenant's rows.

mod version;

use std::{borrow::Cow, fmt, time::Duration};

use multitenancy_core::{Error, Result};
use sqlx::PgConnection;

use super::{builder, engine::execute, error::store_error, location::APP_ROLE};
use crate::pool::close;

/// A reason why a database is unsafe for tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The broken rule, as a stable code: `s10_row_security_off`.
    pub rule: Cow<'static, str>,
    /// The database of the object.
    pub database: String,
    /// The table, key, view, function, schema or role at fault.
    pub object: String,
    /// The problem, in words.
    pub what: Cow<'static, str>,
    /// The statement that fixes the fault, for a role that owns the object. Read it before you run it.
    pub fix: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, database, object, what, fix } = self;
        write!(f, "{rule}: {object} {what} (database {database})")?;
        match fix {
            Some(fix) => write!(f, "; fix: {fix}"),
            None => Ok(()),
        }
    }
}

/// The options of an audit.
#[derive(Debug, Clone, Default)]
pub struct AuditOptions {
    /// The login role of the application. The audit always checks the role `multitenancy_app`.
    pub login: Option<String>,
    /// Tables that belong to no tenant and are only read: `countries` in every schema, or `reference.countries` in
    /// one schema.
    pub reference_tables: Vec<String>,
    /// Allows a server that lacks known fixes of row-level security.
    pub old_server: bool,
}

/// Lists every fault of the database at `url`; empty when the database is safe for tenants.
///
/// Reads only the catalogue, in one pass for any number of schemas. Any role may call it.
pub async fn audit(url: &str, options: &AuditOptions) -> Result<Vec<Fault>> {
    use sqlx::ConnectOptions;
    let mut connection = builder::options(url)?.connect().await.map_err(store_error)?;
    let faults = examine(&mut connection, options).await?;
    close(connection).await;
    Ok(faults)
}

/// One statement: the data that all checks share is gathered once.
const CHECKS: &str = concat!(
    include_str!("sql/base.sql"),
    include_str!("sql/tables.sql"),
    "UNION ALL ",
    include_str!("sql/keys.sql"),
    "UNION ALL ",
    include_str!("sql/code.sql"),
    "UNION ALL ",
    include_str!("sql/rights.sql"),
);

type Row = (String, String, String, Option<String>);

/// How many attempts to read the catalogue while it changes.
const LOOKS: usize = 50;

/// Every fault of the connection's database.
pub(super) async fn examine(connection: &mut PgConnection, options: &AuditOptions) -> Result<Vec<Fault>> {
    for _ in 0..LOOKS {
        if let Some(faults) = look(connection, options).await? {
            return Ok(faults);
        }
    }
    Err(Error::overloaded(
        "the catalogue is being changed all the time: audit it later",
        Duration::from_secs(1),
    ))
}

/// `None` when an object was dropped during the read: PostgreSQL prints a policy's expression as it is at that
/// moment.
async fn look(connection: &mut PgConnection, options: &AuditOptions) -> Result<Option<Vec<Fault>>> {
    // With this search path names are printed in full, and another role's function cannot replace a built-in one. The
    // planner settings: compiling the statement takes ten times as long as running it, and after a migration there
    // are no statistics yet.
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp; \
                 SET LOCAL jit = off; SET LOCAL enable_nestloop = off";
    execute(connection, begin).await.map_err(store_error)?;
    let database = database(connection).await?;
    let mut faults: Vec<_> = version::fault(connection.server_version_num(), &database)
        .into_iter()
        .filter(|_| !options.old_server)
        .collect();
    let names: Vec<_> = [APP_ROLE].into_iter().chain(options.login.as_deref()).collect();
    let of_roles = roles(connection, &names).await?;
    // A superuser or an owner has every right: further faults of that role add nothing.
    let sound: Vec<_> =
        names.into_iter().filter(|name| of_roles.iter().all(|fault| fault.object != *name)).collect();
    faults.extend(of_roles);
    let reach: Vec<String> = sqlx::query_scalar(
        "SELECT rolname::text FROM pg_roles WHERE EXISTS (SELECT FROM pg_roles AS own \
         WHERE own.rolname = ANY ($1) AND pg_has_role(own.oid, pg_roles.oid, 'MEMBER'))",
    )
    .bind(sound)
    .fetch_all(&mut *connection)
    .await
    .map_err(store_error)?;
    let rows: Vec<Row> = sqlx::query_as(CHECKS)
        .bind(&reach)
        .bind(&options.reference_tables)
        .fetch_all(&mut *connection)
        .await
        .map_err(store_error)?;
    let changing = rows.iter().any(|(rule, ..)| rule == "changing");
    faults.extend(rows.into_iter().map(|row| fault(&database, row)));
    let preset: Option<String> =
        sqlx::query_scalar("SELECT nullif(current_setting('app.tenant_id', true), '')")
            .fetch_one(&mut *connection)
            .await
            .map_err(store_error)?;
    if preset.is_some() && !faults.iter().any(|fault| fault.rule == "s12_setting_preset") {
        let what = "presets app.tenant_id, which only a unit of work may set".to_owned();
        let row = ("s12_setting_preset".to_owned(), "the server's configuration".to_owned(), what, None);
        faults.push(fault(&database, row));
    }
    execute(connection, "ROLLBACK").await.map_err(store_error)?;
    Ok((!changing).then_some(faults))
}

/// The rights of these roles that units of work must not have.
pub(super) async fn roles(connection: &mut PgConnection, names: &[&str]) -> Result<Vec<Fault>> {
    let database = database(connection).await?;
    let rows: Vec<Row> = sqlx::query_as(include_str!("sql/login.sql"))
        .bind(names)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    Ok(rows.into_iter().map(|row| fault(&database, row)).collect())
}

/// Fails when there is a fault. The error names the first faults.
pub(super) fn ensure_safe(faults: &[Fault]) -> Result<()> {
    const NAMED: usize = 20;
    if faults.is_empty() {
        return Ok(());
    }
    let mut message = format!("the database is not safe to serve tenants from, {} faults:", faults.len());
    for fault in faults.iter().take(NAMED) {
        message.push_str(&format!("\n- {fault}"));
    }
    if faults.len() > NAMED {
        message.push_str(&format!("\n- and {} more: audit the store to see them", faults.len() - NAMED));
    }
    Err(Error::config(message))
}

async fn database(connection: &mut PgConnection) -> Result<String> {
    let query = sqlx::query_scalar("SELECT current_database()::text");
    query.fetch_one(connection).await.map_err(store_error)
}

fn fault(database: &str, (rule, object, what, fix): Row) -> Fault {
    Fault { rule: rule.into(), database: database.to_owned(), object, what: what.into(), fix }
}
