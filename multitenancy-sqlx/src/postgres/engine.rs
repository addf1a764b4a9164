//! What units of work need of PostgreSQL.

use std::time::Duration;

use futures_util::FutureExt;
use multitenancy_core::{Error, Plane, TenantId, tenant::tenant_inactive};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, SqlSafeStr, postgres::PgArguments};
use sqlx_core::transaction::TransactionManager;

use super::{
    error::{answered, is},
    location::PoolKey,
    tagged_query::desynchronized,
    unit::refused,
    wire::{self, Message},
};
use crate::pool::{self, Recycle};

pub(crate) type Db = Postgres;
pub(crate) type Arguments = PgArguments;
pub(crate) type Connection = PgConnection;
/// What begins a transaction.
pub(crate) struct Statement {
    pub begin: &'static str,
    /// The database that the connection must be to, where there are several.
    pub database: Option<String>,
    /// What is selected first in it, for what that sets.
    pub local: String,
    /// Whether nothing of what the connection knows is to be used again: neither what was prepared on it, nor what the
    /// types were whose names it has met.
    pub forget: bool,
}
pub(crate) type Permit = pool::Permit<Plane, PoolKey, PgConnection>;
/// Each plane has a lane, so that one tenant's burst leaves connections for the others.
pub(crate) type Pool = pool::Pool<Plane, PoolKey, PgConnection>;

/// How long a connection that was open may take to begin; then another one is taken.
pub(super) const BUSY: Duration = Duration::from_millis(500);

/// How a COMMIT ended.
pub(crate) enum Committed {
    /// Whether the next unit can have the connection.
    Done { clean: bool },
    /// Nothing is committed; the transaction is still open.
    Refused(Error),
}

/// That a COMMIT is to pass where its tenant's fence would be. The server looks.
pub(crate) struct CommitGuard(pub TenantId);

/// What `multitenancy.pass_fence` answers to who does not pass.
const FENCED: &str = "MT117";

type Manager = <Postgres as sqlx::Database>::TransactionManager;

/// How many transactions sqlx counts on a connection, in a unit of work and between two.
const AT_REST: usize = 1;

/// Has sqlx count one transaction for good: the one that is ours to begin and to end. So what the application nests in
/// it is a savepoint, and sqlx itself never ends it.
pub(super) async fn adopt(connection: &mut Connection) -> sqlx::Result<()> {
    Manager::begin(connection, None).await?;
    execute(connection, AssertSqlSafe(wire::adopt())).await
}

/// Begins, in one message with the rollback of the unit before when that was `left_open`.
pub(super) async fn begin(
    connection: &mut Connection,
    statement: Statement,
    left_open: bool,
) -> sqlx::Result<()> {
    if statement.forget {
        connection.clear_cached_statements().await?;
    }
    Message::begin(statement, left_open).send(connection).await.into_result()
}

/// Commits, and tells other processes which tenants have changed.
pub(super) async fn commit(
    connection: &mut Connection,
    plane: Plane,
    changed: &[TenantId],
    guard: Option<&CommitGuard>,
) -> sqlx::Result<Committed> {
    if Manager::get_transaction_depth(connection) > AT_REST {
        return Ok(refused("a nested transaction was left open"));
    }
    let message = Message::commit(plane, changed, guard.is_some());
    let answer = message.send(connection).await;
    if message.has_committed(&answer) {
        return Ok(Committed::Done { clean: answer.error.is_none() });
    }
    let matches = answer.matches;
    let Err(error) = answer.into_result() else { return Err(desynchronized()) };
    // What fails before the message is answered may be what was sent before it, unless the next answer is in step.
    if !matches && answered(&error) {
        roll_back(connection, true).await.map_err(|_| desynchronized())?;
    }
    match (error, guard) {
        (error, _) if is(&error, "25P02") => Ok(refused("a statement of it has failed")),
        (error, _) if is(&error, "22012") => Ok(refused("a statement of it has ended it")),
        (error, Some(CommitGuard(tenant))) if is(&error, FENCED) => {
            Ok(Committed::Refused(tenant_inactive(*tenant)))
        }
        (error, _) => Err(error),
    }
}

/// Rolls back. An error when the next unit cannot have the connection.
pub(super) async fn roll_back(connection: &mut Connection, _writes: bool) -> sqlx::Result<()> {
    if Manager::get_transaction_depth(connection) != AT_REST {
        return Err(sqlx::Error::InvalidSavePointStatement);
    }
    Message::roll_back().send(connection).await.into_result()
}

/// Whether [`start_roll_back`] leaves the transaction open.
pub(super) const LEAVES_OPEN: bool = true;

/// Leaves the transaction of a unit that has only read to be rolled back soon: either the next unit begins, or
/// [`Recycle::recycle`] is called. `false` when that takes more than one step, or when a statement of it is still under way,
/// which can take as long as statements may.
pub(super) fn start_roll_back(connection: &mut Connection) -> bool {
    // Reads the rest of an answer that has come, and waits for none.
    let answered = matches!(connection.flush().now_or_never(), Some(Ok(())));
    answered && Manager::get_transaction_depth(connection) == AT_REST
}

impl Recycle for PgConnection {
    /// So long a unit that has read leaves its connection *idle in transaction*, for the next one to roll back.
    const ROLLBACK_GRACE: Duration = Duration::from_millis(100);

    /// A unit that is cut off in the midst of a statement does not give its connection back before it has ended.
    fn is_idle(&self) -> bool {
        true
    }

    async fn recycle(&mut self) -> bool {
        roll_back(self, false).await.is_ok()
    }
}

/// By the simple protocol: several statements are one message.
pub(super) async fn execute(connection: &mut Connection, sql: impl SqlSafeStr) -> sqlx::Result<()> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}

macro_rules! for_update {
    () => {
        " FOR UPDATE"
    };
}
macro_rules! skip_locked {
    () => {
        " FOR UPDATE SKIP LOCKED"
    };
}
macro_rules! greatest {
    () => {
        "GREATEST"
    };
}
pub(super) use {for_update, greatest, skip_locked};
