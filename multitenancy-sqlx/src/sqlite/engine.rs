//! What units of work need of SQLite.

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
/// What begins a transaction.
pub(crate) type Statement = &'static str;
pub(crate) type Permit = pool::Permit<PoolKey, PoolKey, SqliteConnection>;
/// A file has a gate for its writer and one for its readers.
pub(crate) type Pool = pool::Pool<PoolKey, PoolKey, SqliteConnection>;

/// How long a connection that was open may take to begin; then another one is taken.
pub(super) const BUSY: Duration = Duration::from_millis(200);

/// How a COMMIT ended.
pub(crate) enum Committed {
    /// Whether the next unit can have the connection.
    Done { clean: bool },
    /// Nothing is committed; the transaction is still open.
    Refused(Error),
}

/// That a COMMIT passes where its tenant's fence would be: meanwhile none is raised.
pub(crate) type CommitGuard = OwnedRwLockReadGuard<bool>;

/// sqlx's own, so that its count of nested transactions stays right.
type Manager = <Sqlite as sqlx::Database>::TransactionManager;

pub(super) async fn begin(
    connection: &mut Connection,
    statement: Statement,
    _left_open: bool,
) -> sqlx::Result<()> {
    Manager::begin(connection, Some(statement.into_sql_str())).await
}

/// Commits, unless another file is attached: what was written there is not committed either (S123).
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

/// Rolls back the transaction and those nested in it. An error when the next unit can not have the connection.
///
/// One that reads is not asked for attached files: what it reads is committed nowhere, and most units read.
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
    /// How long the queued rollback of a unit that read takes, on a machine with much else to do. What is not at rest then
    /// is busy with something longer.
    const ROLLBACK_GRACE: Duration = Duration::from_millis(20);

    /// A unit that has read is rolled back behind whatever it has left running.
    fn is_idle(&self) -> bool {
        Manager::get_transaction_depth(self) == 0
    }

    async fn recycle(&mut self) -> bool {
        roll_back(self, true).await.is_ok()
    }
}

/// Whether [`start_roll_back`] leaves the transaction open.
pub(super) const LEAVES_OPEN: bool = false;

/// Has the connection roll back before whatever it is told next, without waiting for it. `false` when that takes more
/// than one step.
pub(super) fn start_roll_back(connection: &mut Connection) -> bool {
    let one_step = Manager::get_transaction_depth(connection) == 1;
    if one_step {
        Manager::start_rollback(connection);
    }
    one_step
}

/// Whether the application's SQL has attached another file, which SQLite allows inside a transaction too. The first two
/// databases are the connection's own: its file, and its temporary tables.
async fn has_attached(connection: &mut Connection) -> sqlx::Result<bool> {
    let databases: Vec<i64> = sqlx::query_scalar("PRAGMA database_list").fetch_all(connection).await?;
    Ok(databases.into_iter().any(|index| index > 1))
}

/// A unit that writes has the file's only write lock already.
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
