//! The role that units of work log in as.

use multitenancy_core::{Error, Result};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};

use super::{
    admin::Admin,
    audit::{self, Fault},
    engine::execute,
    error::store_error,
    location::{APP_ROLE, StorageLocation},
};
use crate::pool::close;

/// How units of work log in. `role` is `None` when they must assume the restricted role.
pub(super) struct Login {
    pub options: PgConnectOptions,
    pub role: Option<String>,
}

impl Login {
    /// Examines the role that `options` log in as. A privileged role is refused, or must assume a restricted one.
    pub async fn examine(options: PgConnectOptions, admin: &Admin, allow_privileged: bool) -> Result<Self> {
        // Behind a pooler each statement may run on a different connection, also between prepare and execute, unless
        // it is in a transaction. Statements that other clients prepared there are dropped first.
        let once = options.clone().statement_cache_capacity(0);
        let mut connection = once.connect().await.map_err(store_error)?;
        execute(&mut connection, "BEGIN; DEALLOCATE ALL").await.map_err(store_error)?;
        let role: String = sqlx::query_scalar("SELECT session_user::text")
            .fetch_one(&mut connection)
            .await
            .map_err(store_error)?;
        let faults = audit::roles(&mut connection, &[&role, APP_ROLE]).await?;
        let (faults, of_app): (Vec<_>, Vec<_>) = faults.into_iter().partition(|fault| fault.object == role);
        audit::ensure_safe(&of_app)?;
        if !faults.is_empty() && !allow_privileged {
            return Err(privileged(&role, &faults));
        }
        make_member(&mut connection, admin, &role).await?;
        close(connection).await;
        if faults.is_empty() {
            return Ok(Self { options, role: Some(role) });
        }
        tracing::warn!(
            login = role,
            assumed = APP_ROLE,
            ?faults,
            "THE DATABASE URL IS OF A PRIVILEGED ROLE: units of work assume a restricted one. Refused in production: give \
             the store a login of its own, and this URL as the admin URL"
        );
        Ok(Self { options, role: None })
    }
}

/// Makes the login a member of the role that units of work run as.
async fn make_member(connection: &mut PgConnection, admin: &Admin, role: &str) -> Result<()> {
    let (grant, member) = membership(connection).await?;
    if member {
        return Ok(());
    }
    let mut granting = admin.connect(StorageLocation::Control).await?;
    let granted = execute(&mut granting, AssertSqlSafe(grant.clone())).await;
    close(granting).await;
    granted.map_err(|error| {
        let message = format!("the login {role} is not a member of {APP_ROLE}; fix: {grant}");
        Error::config(message).with_source(error)
    })?;
    // A transaction keeps the memberships that it has seen: begin a new one.
    execute(connection, "ROLLBACK; BEGIN; DEALLOCATE ALL").await.map_err(store_error)?;
    if membership(connection).await?.1 {
        return Ok(());
    }
    let message = format!("the login {role} does not inherit; fix: ALTER ROLE {role} INHERIT");
    Err(Error::config(message))
}

/// The statement that makes the session's login a member, and whether the login has the role's rights.
async fn membership(connection: &mut PgConnection) -> Result<(String, bool)> {
    sqlx::query_as(
        "SELECT format('GRANT %I TO %I', $1, session_user), pg_has_role(session_user, $1, 'USAGE')",
    )
    .bind(APP_ROLE)
    .fetch_one(connection)
    .await
    .map_err(store_error)
}

fn privileged(role: &str, faults: &[Fault]) -> Error {
    let faults: Vec<_> = faults.iter().map(|fault| format!("\n- {fault}")).collect();
    Error::config(format!(
        "the database URL logs in as a privileged role, {role}:{}\nGive the store its own login, CREATE ROLE app LOGIN \
         PASSWORD '…' and nothing more, and use this URL as the admin URL, which migrates and provisions tenants",
        faults.concat()
    ))
}
