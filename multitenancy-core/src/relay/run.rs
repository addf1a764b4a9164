use std::{
    collections::{BTreeMap, HashSet},
    panic::AssertUnwindSafe,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::{Drained, Relay};
use crate::{
    environment::{Timestamp, monotonic},
    error::{Error, Result},
    id::{Plane, TenantId},
    page::PageRequest,
    tenant::{ControlContext, TenantStatus},
};

/// How long to wait after a fault of the store.
const FAULT_DELAY: Duration = Duration::from_secs(5);

/// Which planes are being worked on, and when to look at which again.
#[derive(Default)]
struct Schedule {
    busy: HashSet<Plane>,
    /// Signalled while busy: looked at once more at the end.
    again: HashSet<Plane>,
    due: BTreeMap<Plane, Timestamp>,
}

impl Relay {
    /// Relays events until dropped: those that a signal tells of at once, those that failed when their time has come,
    /// and all outboxes at the start and at every [`sweep`](super::RelayConfig::sweep).
    pub async fn run(&self) {
        let mut running: JoinSet<(Plane, Option<Timestamp>)> = JoinSet::new();
        let mut schedule = Schedule::default();
        let mut next_sweep = monotonic();
        loop {
            let full = running.len() >= self.config.planes;
            tokio::select! {
                plane = self.store.signals().next_outbox(), if !full => {
                    if schedule.busy.insert(plane) {
                        let relay = self.clone();
                        running.spawn(async move { relay.drain_reporting(plane).await });
                    } else {
                        schedule.again.insert(plane);
                    }
                }
                Some(finished) = running.join_next() => match finished {
                    Ok((plane, next_due)) => {
                        schedule.busy.remove(&plane);
                        match next_due {
                            Some(at) => drop(schedule.due.insert(plane, at)),
                            None => drop(schedule.due.remove(&plane)),
                        }
                        if schedule.again.remove(&plane) {
                            self.store.signals().outbox_grew(plane);
                        }
                    }
                    Err(panic) => {
                        tracing::error!(%panic, "the relay panicked");
                        schedule.busy.clear();
                        next_sweep = monotonic() + FAULT_DELAY;
                    }
                },
                () = tokio::time::sleep_until(next_sweep) => {
                    next_sweep = monotonic() + self.sweep_reporting().await;
                }
                () = self.until_due(&schedule) => {
                    let now = self.store.environment().now();
                    let due: Vec<_> =
                        schedule.due.iter().filter(|(_, at)| **at <= now).map(|(plane, _)| *plane).collect();
                    for plane in due {
                        schedule.due.remove(&plane);
                        self.store.signals().outbox_grew(plane);
                    }
                }
            }
        }
    }

    /// Signals every plane whose events may be delivered, so that each is looked at.
    pub async fn sweep(&self) -> Result<()> {
        let signals = self.store.signals();
        signals.outbox_grew(Plane::Control);
        let mut page = PageRequest::<TenantId>::first(PageRequest::<TenantId>::MAX_SIZE);
        loop {
            let mut unit = self.store.read_control(&ControlContext::system("event relay")).await?;
            let found = unit.tenants().list(Some(TenantStatus::Active), &page).await?;
            drop(unit);
            for tenant in found.items {
                signals.outbox_grew(Plane::Tenant(tenant.id));
            }
            match found.next {
                Some(key) => page = page.after(key),
                None => return Ok(()),
            }
        }
    }

    /// One batch, then the others' turn: a plane with much to tell waits behind those that have waited.
    async fn drain_reporting(&self, plane: Plane) -> (Plane, Option<Timestamp>) {
        let mut drained = Drained::default();
        match self.drain_batch(plane, &mut drained).await {
            Ok(more) => {
                if more {
                    self.store.signals().outbox_grew(plane);
                }
                (plane, drained.next_due)
            }
            Err(error) => {
                tracing::error!(%plane, error = ?error, "an outbox could not be drained");
                (plane, Some(self.store.environment().now() + FAULT_DELAY))
            }
        }
    }

    async fn sweep_reporting(&self) -> Duration {
        // The store is somebody else's code: its panic must not end the relay.
        let swept = AssertUnwindSafe(self.sweep()).catch_unwind().await;
        match swept.unwrap_or_else(|_panic| Err(Error::internal("the sweep panicked"))) {
            Ok(()) => self.config.sweep,
            Err(error) => {
                tracing::error!(error = ?error, "the outboxes could not be looked through");
                FAULT_DELAY
            }
        }
    }

    async fn until_due(&self, schedule: &Schedule) {
        let Some(earliest) = schedule.due.values().min() else {
            return std::future::pending().await;
        };
        let wait = (*earliest - self.store.environment().now()).to_std().unwrap_or_default();
        // At least a moment, so that clocks that disagree cost no processor.
        tokio::time::sleep(wait.max(Duration::from_millis(10))).await;
    }
}
