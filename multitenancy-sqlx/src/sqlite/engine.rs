//! The operations of a unit of work on SQLite.

use std::time::Duration;

use multitenancy_core::{Error, Plane, TenantId};
use sqlx::{SqlSafeStr, Sqlite, SqliteConnection, sqlite::SqliteArguments};
use sqlx_core::transaction::TransactionManager;
use tokio::sync::OwnedRwLockReadGuard;

use super::{location::PoolKey, unit::refused};
use crate::pool::{self, Recycle};

pub(crate) type Db = Sqlite;
pub(crate) type Arguments = SqliteArguments;
pub(crate) type Connection = SqliteConnection;
/// The statement that begins a transaction.
pub(crate) type Statement = &'static str;
pub(crate) type Permit = pool::Permit<PoolKey, PoolKey, SqliteConnection>;
/// A file has one lane for its writer and one for its readers.
pub(crate) type Pool = pool::Pool<PoolKey, PoolKey, SqliteConnection>;

/// The maximum time that BEGIN may take on a reused connection; after it another connection is taken.
pub(super) const BUSY: Duration = Duration::from_millis(200);

/// The result of a COMMIT.
pub(crate) enum Committed {
    /// Whether the next unit can use the connection.
    Done { clean: bool },
    /// Nothing is committed; the transaction is still open.
    Refused(Error),
}

/// Proof that the tenant's fence was checked: no fence is raised while this is held.
pub(crate) type CommitGuard = OwnedRwLockReadGuard<bool>;

/// Uses sqlx's own method, so that its count of nested transactions stays correct.
type Manager = <Sqlite as sqlx::Database>::TransactionManager;

pub(super) async fn begin(
    connection: &mut Connection,
    statement: Statement,
    _left_open: bool,
) -> sqlx::Result<()> {
    Manager::begin(connection, Some(statement.into_sql_str())).await
}

/// Commits, unless another file is attached: the writes to that file are not committed either (S123).
pub(super) async fn commit(
    connection: &mut Connection,
    _plane: Plane,
    _changed: &[TenantId],
    _passing: Option<&CommitGuard>,
) -> sqlx::Result<Committed> {
    if has_attached(connection).await? {
        return Ok(refused("another file is attached"));
    }
    Manager::commit(connection).await?;
    let left_open = Manager::get_transaction_depth(connection) > 0;
    if left_open {
        Ok(refused("a nested transaction was left open"))
    } else {
        Ok(Committed::Done { clean: true })
    }
}

/// Rolls back the transaction and its savepoints. An error when the next unit cannot use the connection.
///
/// A read-only unit is not checked for attached files: its writes are never committed, and most units only read.
pub(super) async fn roll_back(connection: &mut Connection, writes: bool) -> sqlx::Result<()> {
    while Manager::get_transaction_depth(connection) > 0 {
        Manager::rollback(connection).await?;
    }
    if writes && has_attached(connection).await? {
        Err(sqlx::Error::Protocol("another file is attached".to_owned()))
    } else {
        Ok(())
    }
}

impl Recycle for SqliteConnection {
    /// How long the queued rollback of a read-only unit takes on a busy machine. A connection that is still busy
    /// afterwards runs something longer.
    const ROLLBACK_GRACE: Duration = Duration::from_millis(20);

    /// The rollback of a read-only unit queues behind its running statements.
    fn is_idle(&self) -> bool {
        Manager::get_transaction_depth(self) == 0
    }

    async fn recycle(&mut self) -> bool {
        roll_back(self, true).await.is_ok()
    }
}

/// Whether [`start_roll_back`] leaves the transaction open.
pub(super) const LEAVES_OPEN: bool = false;

/// Queues a rollback before the connection's next statement, without waiting for it. `false` when the rollback takes
/// more than one step.
pub(super) fn start_roll_back(connection: &mut Connection) -> bool {
    let one_step = Manager::get_transaction_depth(connection) == 1;
    if one_step {
        Manager::start_rollback(connection);
    }
    one_step
}

/// Whether the application's SQL has attached another file, which SQLite also allows inside a transaction. The first
/// two databases belong to the connection: its file and its temporary tables.
async fn has_attached(connection: &mut Connection) -> sqlx::Result<bool> {
    let databases: Vec<i64> = sqlx::query_scalar("PRAGMA database_list").fetch_all(connection).await?;
    Ok(databases.into_iter().any(|index| index > 1))
}

/// A unit that writes already holds the file's only write lock.
macro_rules! for_update {
    () => {
        ""
    };
}
macro_rules! skip_locked {
    () => {
        ""
    };
}
macro_rules! greatest {
    () => {
        "MAX"
    };
}
pub(super) use {for_update, greatest, skip_locked};
