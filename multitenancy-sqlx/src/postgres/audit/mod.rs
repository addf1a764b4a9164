//! Reads the catalogue for what would let one tenant at another's rows.

mod version;

use std::{borrow::Cow, fmt, time::Duration};

use multitenancy_core::{Error, Result};
use sqlx::PgConnection;

use super::{builder, engine::execute, error::store_error, location::APP_ROLE};
use crate::pool::close;

/// What makes a database unsafe to serve tenants from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What is broken, as a stable code: `s10_row_security_off`.
    pub rule: Cow<'static, str>,
    /// In which database.
    pub database: String,
    /// The table, key, view, function, schema or role.
    pub object: String,
    /// What is wrong with it.
    pub what: Cow<'static, str>,
    /// The statement that fixes it, for a role that owns the object. Read it before you run it.
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

/// What an audit has to know.
#[derive(Debug, Clone, Default)]
pub struct AuditOptions {
    /// The role that the application logs in as. The role `multitenancy_app` is looked at in any case.
    pub login: Option<String>,
    /// Tables that belong to no tenant and are only read: `countries`, or `reference.countries` in one schema alone.
    pub reference_tables: Vec<String>,
    /// Whether a server may lack known fixes of row-level security.
    pub old_server: bool,
}

/// Everything that makes the database at `url` unsafe to serve tenants from; empty when it is safe.
///
/// Reads the catalogue and nothing else, in one pass whatever the number of schemas. Any role may do it.
pub async fn audit(url: &str, options: &AuditOptions) -> Result<Vec<Fault>> {
    use sqlx::ConnectOptions;
    let mut connection = builder::options(url)?.connect().await.map_err(store_error)?;
    let faults = examine(&mut connection, options).await?;
    close(connection).await;
    Ok(faults)
}

/// One statement, so that what all checks look at is gathered once.
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

/// How often the catalogue is looked at until nobody changes it meanwhile.
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

/// `None` when somebody has dropped what was looked at: PostgreSQL writes out the expression of a policy as it is by then.
async fn look(connection: &mut PgConnection, options: &AuditOptions) -> Result<Option<Vec<Fault>>> {
    // So that names are written in full, and a function of somebody else's can not stand in for a built-in one. To
    // compile the statement takes ten times as long as to run it, and after a migration there are no statistics yet.
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
    // What a superuser, or an owner, could do besides is all that there is.
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

/// What the roles of these names may do that units of work must not.
pub(super) async fn roles(connection: &mut PgConnection, names: &[&str]) -> Result<Vec<Fault>> {
    let database = database(connection).await?;
    let rows: Vec<Row> = sqlx::query_as(include_str!("sql/login.sql"))
        .bind(names)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    Ok(rows.into_iter().map(|row| fault(&database, row)).collect())
}

/// Refuses to serve tenants from where there is a fault. The first of them are named.
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
