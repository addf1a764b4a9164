//! A leased connection, which is returned clean or closed.
//!
//! ```text
//!            BEGIN sent             answered
//!   clean ───────────────> unknown ─────────> open
//!     ^                       │  ^             │ │
//!     │       COMMIT answered │  │ COMMIT sent │ │ dropped, or COMMIT refused:
//!     ├───────────────────────┘  └─────────────┘ │ a writer is rolled back, a reader
//!     │                       │                  │ before its connection's next unit
//!     │                       │ dropped, or      v
//!     ├───────────────────────│── answered ── rolling back
//!     │                       │ not answered     │ failed, or too slow
//!     v                       v                  v
//!   to the next unit        closed  <────────────┘
//! ```

use std::{pin::pin, sync::Arc, time::Duration};

use multitenancy_core::{Error, Plane, Result, TenantId, error::code, store::Signals};
use sqlx::Connection as _;
use tokio::{runtime::Handle, time::timeout};

use super::{
    UnitSpec,
    engine::{self, CommitGuard, Committed, Connection, Permit, Pool, Statement},
    error::{answered, store_error},
};
use crate::pool::close;

/// Upper bound on how long the next units on a plane wait for a unit that was cut off.
const CUT_OFF_GRACE: Duration = Duration::from_secs(1);

/// The known state of a leased connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No transaction is open.
    Clean,
    /// A transaction is open.
    Open,
    /// BEGIN, COMMIT or ROLLBACK was sent and not answered: it is unknown whether a transaction is open, and what
    /// sqlx assumes. Such a connection is closed.
    Unknown,
}

/// A leased connection with its transaction.
///
/// The connection of a read-only unit rolls back before its next statement, so its permit is passed on at once.
///
/// The state is unknown from before BEGIN, COMMIT or ROLLBACK is sent until the answer. So a call that is dropped at
/// any point leaves nothing for the next borrower (S28): an open transaction is rolled back, and a connection of
/// unknown state is closed, before the permit is passed on.
pub(crate) struct Lease {
    /// `None` once the connection is returned; dropping the lease returns it.
    leased: Option<Leased>,
    phase: Phase,
    writes: bool,
    pool: Arc<Pool>,
}

struct Leased {
    connection: Connection,
    permit: Permit,
    effects: Effects,
    /// Held until the outcome is known: raising a fence waits for it.
    guard: Option<CommitGuard>,
}

/// The signals to send once the outcome is known.
struct Effects {
    signals: Arc<Signals>,
    plane: Plane,
    outbox_grew: bool,
    changed_tenants: Vec<TenantId>,
    /// Whether COMMIT was sent: before that there is nothing to signal.
    committing: bool,
}

impl Lease {
    /// Opens a transaction with `statement`.
    pub async fn begin(
        pool: Arc<Pool>,
        (connection, permit): (Connection, Permit),
        statement: Statement,
        spec: UnitSpec,
        signals: Arc<Signals>,
    ) -> sqlx::Result<Self> {
        let effects = Effects {
            signals,
            plane: spec.plane,
            outbox_grew: false,
            changed_tenants: Vec::new(),
            committing: false,
        };
        let leased = Some(Leased { connection, permit, effects, guard: None });
        let mut lease = Self { leased, phase: Phase::Unknown, writes: spec.writes(), pool };
        if let Some(Leased { connection, permit, .. }) = &mut lease.leased {
            // A reused connection may still be busy with the work of an earlier unit.
            let limits = lease.pool.limits();
            let bound =
                if permit.reused && limits.defers { engine::BUSY.min(limits.wait) } else { limits.wait };
            let begun = timeout(bound, engine::begin(connection, statement, permit.take_left_open()));
            begun.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        }
        lease.phase = Phase::Open;
        Ok(lease)
    }

    /// Whether the unit may write.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// The connection.
    pub fn connection(&mut self) -> Result<&mut Connection> {
        self.leased().map(|leased| &mut leased.connection)
    }

    /// Refuses writes in a read-only unit.
    pub fn writable(&mut self) -> Result<&mut Connection> {
        if !self.writes {
            return Err(Error::internal("a read-only unit of work cannot write"));
        }
        self.connection()
    }

    /// Signals, once the unit's outcome is known, that an event was appended.
    pub fn outbox_grew(&mut self) {
        if let Some(leased) = &mut self.leased {
            leased.effects.outbox_grew = true;
        }
    }

    /// Signals, once the unit's outcome is known, that a tenant's row was changed.
    pub fn tenant_changed(&mut self, id: TenantId) {
        if let Some(leased) = &mut self.leased {
            leased.effects.changed_tenants.push(id);
        }
    }

    /// Commits, and returns the connection. A read-only unit has nothing to commit: it is rolled back.
    pub async fn commit(mut self, guard: Option<CommitGuard>) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        self.phase = Phase::Unknown;
        let longest = self.pool.limits().longest;
        let leased = self.leased()?;
        leased.guard = guard;
        leased.effects.committing = true;
        let Leased { connection, effects, guard, .. } = leased;
        let committing = engine::commit(connection, effects.plane, &effects.changed_tenants, guard.as_ref());
        match timeout(longest, committing).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(Committed::Done { clean }) => {
                effects.tell();
                if clean {
                    self.phase = Phase::Clean;
                }
                Ok(())
            }
            Ok(Committed::Refused(error)) => {
                self.phase = Phase::Open;
                Err(error)
            }
            // The transaction is still open, or was rolled back.
            Err(error) if answered(&error) => {
                self.phase = Phase::Open;
                Err(store_error(error))
            }
            Err(error) => Err(Error::of(code::COMMIT_UNKNOWN).with_source(error)),
        }
    }

    fn leased(&mut self) -> Result<&mut Leased> {
        self.leased.as_mut().ok_or_else(|| Error::internal("the unit of work has ended"))
    }
}

/// The reason why an open transaction is not committed.
pub(crate) fn refused(reason: &str) -> Committed {
    Committed::Refused(Error::internal(format!("nothing is committed: {reason}")))
}

impl Effects {
    /// Sends the signals, once.
    fn tell(&mut self) {
        if !std::mem::take(&mut self.committing) {
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

impl Drop for Effects {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(Leased { effects, guard, mut permit, mut connection }) = self.leased.take() else { return };
        let (mut phase, writes, pool) = (self.phase, self.writes, self.pool.clone());
        // Most units only read and end here. A task to wait in would cost them an eighth of their speed.
        let defers = phase == Phase::Open && !writes && pool.limits().defers;
        if defers && engine::start_roll_back(&mut connection) {
            permit.leave_open(engine::LEAVES_OPEN);
            phase = Phase::Clean;
        }
        if phase == Phase::Clean {
            let Some(unwanted) = pool.release(connection, permit) else { return };
            (connection, permit) = unwanted;
        }
        // Without a runtime the connection is dropped: SQLite rolls back an open transaction when it closes.
        let Ok(runtime) = Handle::try_current() else { return };
        let cut_off = writes.then(|| permit.cut_off());
        runtime.spawn(async move {
            // Signalled last: by now the outcome of an abandoned COMMIT can no longer change.
            let _effects = (effects, guard);
            let mut finishing = pin!(finish(connection, permit, (phase, writes), &pool));
            let finished = timeout(CUT_OFF_GRACE, &mut finishing).await;
            drop(cut_off);
            if finished.is_err() && timeout(pool.limits().longest, finishing).await.is_err() {
                tracing::warn!("a connection did not finish its last unit in time: it is dropped");
            }
        });
    }
}

/// Brings a connection to a clean state or closes it; then passes its permit on.
async fn finish(mut connection: Connection, permit: Permit, (phase, writes): (Phase, bool), pool: &Pool) {
    let unfinished = if phase == Phase::Open && engine::roll_back(&mut connection, writes).await.is_ok() {
        pool.release(connection, permit)
    } else {
        Some((connection, permit))
    };
    if let Some((mut connection, permit)) = unfinished {
        if phase == Phase::Unknown {
            // By now the sent message is answered: the next unit on this plane sees its outcome.
            drop(timeout(pool.limits().wait, connection.ping()).await);
        }
        close(connection).await;
        drop(permit);
    }
}
