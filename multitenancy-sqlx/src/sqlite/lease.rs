//! A connection on loan, which comes back clean or not at all.

use std::sync::Arc;

use multitenancy_core::{Error, Plane, Result, TenantId, store::Signals};
use sqlx::{SqlSafeStr, Sqlite, SqliteConnection};
use sqlx_core::transaction::TransactionManager;
use tokio::runtime::Handle;

use super::{
    connections::{Access, Connections, Slot, close},
    error::store_error,
};

/// sqlx's own, so that its count of nested transactions stays right.
type Manager = <Sqlite as sqlx::Database>::TransactionManager;

/// What is known of a leased connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No transaction.
    Clean,
    /// A transaction is open.
    Open,
    /// BEGIN, COMMIT or ROLLBACK was sent and not answered: whether a transaction is open is unknown, and so is
    /// what sqlx believes. Such a connection is closed.
    Unknown,
}

/// A leased connection with its transaction.
///
/// It is marked unknown before BEGIN, COMMIT or ROLLBACK is sent and known only when that was answered, so a call
/// that is dropped at any point leaves nothing for the next borrower (S28): an open transaction is rolled back, and
/// a connection of unknown state is closed, before the slot is given on.
pub(super) struct Lease {
    connection: Option<SqliteConnection>,
    slot: Option<Slot>,
    phase: Phase,
    pool: Arc<Connections>,
    effects: Option<Effects>,
}

/// What to tell once the outcome is settled.
pub(super) struct Effects {
    signals: Arc<Signals>,
    plane: Plane,
    outbox_grew: bool,
    changed_tenants: Vec<TenantId>,
    /// Whether COMMIT was sent: before that there is nothing to tell.
    committing: bool,
}

impl Lease {
    /// Opens a transaction: an immediate one to write, so that it never fails half-way for want of the lock; a
    /// snapshot to read.
    pub async fn begin(
        pool: Arc<Connections>,
        connection: SqliteConnection,
        slot: Slot,
        signals: Arc<Signals>,
    ) -> Result<Self> {
        let statement = match slot.access {
            Access::Write => "BEGIN IMMEDIATE",
            Access::Read => "BEGIN",
        };
        let effects = Effects {
            signals,
            plane: slot.plane,
            outbox_grew: false,
            changed_tenants: Vec::new(),
            committing: false,
        };
        let mut lease = Self {
            connection: Some(connection),
            slot: Some(slot),
            phase: Phase::Unknown,
            pool,
            effects: Some(effects),
        };
        let begun = Manager::begin(lease.connection()?, Some(statement.into_sql_str())).await;
        // An answer either way: after an error no transaction is open.
        lease.phase = if begun.is_ok() { Phase::Open } else { Phase::Clean };
        begun.map_err(store_error)?;
        Ok(lease)
    }

    /// The connection.
    pub fn connection(&mut self) -> Result<&mut SqliteConnection> {
        self.connection.as_mut().ok_or_else(|| Error::internal("the unit of work has ended"))
    }

    /// Refuses to write through a unit that only reads.
    pub fn writable(&mut self) -> Result<&mut SqliteConnection> {
        if self.slot.as_ref().is_none_or(|slot| slot.access == Access::Read) {
            return Err(Error::internal("a read-only unit of work can not write"));
        }
        self.connection()
    }

    /// What to tell once this unit's outcome is settled: that an event was appended.
    pub fn outbox_grew(&mut self) {
        if let Some(effects) = &mut self.effects {
            effects.outbox_grew = true;
        }
    }

    /// Likewise: that a tenant's row was changed.
    pub fn tenant_changed(&mut self, id: TenantId) {
        if let Some(effects) = &mut self.effects {
            effects.changed_tenants.push(id);
        }
    }

    /// Commits, and gives the connection back.
    pub async fn commit(mut self) -> Result<()> {
        self.phase = Phase::Unknown;
        if let Some(effects) = &mut self.effects {
            effects.committing = true;
        }
        let connection = self.connection()?;
        let committed = Manager::commit(connection).await;
        let left_open = Manager::get_transaction_depth(connection) > 0;
        // After a refused COMMIT the transaction is still open, or SQLite has rolled it back: ask it to.
        self.phase = if committed.is_ok() && !left_open { Phase::Clean } else { Phase::Open };
        committed.map_err(store_error)?;
        if left_open {
            return Err(Error::internal("a nested transaction was left open: nothing is committed"));
        }
        Ok(())
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        if !self.committing {
            return;
        }
        if self.outbox_grew {
            self.signals.outbox_grew(self.plane);
        }
        for id in self.changed_tenants.drain(..) {
            self.signals.tenant_changed(id);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(connection), Some(slot)) = (self.connection.take(), self.slot.take()) else { return };
        let (phase, pool, effects) = (self.phase, self.pool.clone(), self.effects.take());
        let unfinished = match phase {
            Phase::Clean => pool.release(connection, slot),
            Phase::Open | Phase::Unknown => Some((connection, slot)),
        };
        let Some((connection, slot)) = unfinished else { return };
        // Without a runtime the connection is dropped: SQLite rolls back what was open when it closes.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            // Told last: a COMMIT that nobody waited for has happened by then, or never will.
            let _effects = effects;
            finish(connection, slot, phase, &pool).await;
        });
    }
}

/// Brings a connection back to a clean state, or closes it; then gives its slot on.
async fn finish(mut connection: SqliteConnection, slot: Slot, phase: Phase, pool: &Connections) {
    if phase == Phase::Open && roll_back(&mut connection).await.is_ok() {
        if let Some((connection, slot)) = pool.release(connection, slot) {
            close(connection).await;
            drop(slot);
        }
    } else {
        close(connection).await;
        drop(slot);
    }
}

/// Rolls back the transaction and those nested in it.
async fn roll_back(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    while Manager::get_transaction_depth(connection) > 0 {
        Manager::rollback(connection).await?;
    }
    Ok(())
}
