//! The operations of a unit of work on PostgreSQL.

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
/// The parts of the message that begins a transaction.
pub(crate) struct Statement {
    pub begin: &'static str,
    /// The database that the connection must be connected to, where there are several.
    pub database: Option<String>,
    /// Extra columns of the first SELECT, for their side effects.
    pub local: String,
    /// Whether the connection must discard its cached knowledge: its prepared statements, and the types that it
    /// looked up by name.
    pub forget: bool,
}
pub(crate) type Permit = pool::Permit<Plane, PoolKey, PgConnection>;
/// Each plane has a lane, so that a burst of one tenant leaves connections to the others.
pub(crate) type Pool = pool::Pool<Plane, PoolKey, PgConnection>;

/// The maximum time that BEGIN may take on a reused connection; after it another connection is taken.
pub(super) const BUSY: Duration = Duration::from_millis(500);

/// The result of a COMMIT.
pub(crate) enum Committed {
    /// Whether the next unit can use the connection.
    Done { clean: bool },
    /// Nothing is committed; the transaction is still open.
    Refused(Error),
}

/// Proof that the tenant's fence was checked. Here the server checks it.
pub(crate) struct CommitGuard(pub TenantId);

/// The SQLSTATE of `multitenancy.pass_fence` for a closed tenant.
const FENCED: &str = "MT117";

type Manager = <Postgres as sqlx::Database>::TransactionManager;

/// The number of transactions that sqlx counts on a connection, inside a unit of work and between two.
const AT_REST: usize = 1;

/// Makes sqlx count one outer transaction permanently; this crate begins and ends that transaction. Nested
/// transactions of the application are then savepoints, and sqlx never ends the outer one.
pub(super) async fn adopt(connection: &mut Connection) -> sqlx::Result<()> {
    Manager::begin(connection, None).await?;
    execute(connection, AssertSqlSafe(wire::adopt())).await
}

/// Begins a transaction. When the previous unit was `left_open`, the same message first rolls it back.
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

/// Commits, and notifies other processes of the changed tenants.
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
    // An error before the answer may belong to an earlier message, unless the next answer carries the tag.
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

/// Rolls back. An error when the next unit cannot use the connection.
pub(super) async fn roll_back(connection: &mut Connection, _writes: bool) -> sqlx::Result<()> {
    if Manager::get_transaction_depth(connection) != AT_REST {
        return Err(sqlx::Error::InvalidSavePointStatement);
    }
    Message::roll_back().send(connection).await.into_result()
}

/// Whether [`start_roll_back`] leaves the transaction open.
pub(super) const LEAVES_OPEN: bool = true;

/// Leaves the transaction of a read-only unit open, to be rolled back soon: by the next unit, or by
/// [`Recycle::recycle`]. `false` when the rollback takes more than one step, or when a statement still runs, which
/// can take as long as statements may.
pub(super) fn start_roll_back(connection: &mut Connection) -> bool {
    // Reads the rest of an answer that has arrived, and does not wait.
    let answered = matches!(connection.flush().now_or_never(), Some(Ok(())));
    answered && Manager::get_transaction_depth(connection) == AT_REST
}

impl Recycle for PgConnection {
    /// How long a read-only unit leaves its connection *idle in transaction* for the next unit to roll back.
    const ROLLBACK_GRACE: Duration = Duration::from_millis(100);

    /// A unit that is cut off inside a statement returns its connection only after the statement ends.
    fn is_idle(&self) -> bool {
        true
    }

    async fn recycle(&mut self) -> bool {
        roll_back(self, false).await.is_ok()
    }
}

/// Uses the simple protocol: several statements are one message.
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
