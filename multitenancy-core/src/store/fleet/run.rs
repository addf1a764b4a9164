use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use futures_util::{FutureExt, Stream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::FleetTenant;
use crate::error::{Error, Result, code};

/// Migrations under way: a stream of what became of each tenant, in the order in which they are done.
///
/// The work goes on in tasks, whether or not anybody looks. Dropping this ends it: what is under way is completed, and
/// nothing new is begun; another run makes up for the rest.
#[derive(Debug)]
pub struct FleetRun {
    results: UnboundedReceiver<(FleetTenant, Outcome)>,
    of: usize,
    report: FleetReport,
}

/// What became of one tenant.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Whose storage it is.
    pub tenant: FleetTenant,
    /// How many are done, with this one.
    pub done: usize,
    /// How many there are to do. Those that were skipped are not among them.
    pub of: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one tenant.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was found to be there already: somebody else has brought it.
    Current,
    /// It was brought from one version to another; the same when only the framework's migrations were new.
    Migrated {
        /// Where it was.
        from: i64,
        /// Where it is.
        to: i64,
    },
    /// It is where it was, or at a step between, and is refused until it is mended.
    Failed(Arc<Error>),
}

/// What became of all.
#[derive(Debug, Clone, Default)]
pub struct FleetReport {
    /// Recorded as being there, and not touched.
    pub skipped: usize,
    /// Found to be there already.
    pub current: usize,
    /// Brought there.
    pub migrated: usize,
    /// Those that could not be.
    pub failed: Vec<Failure>,
}

/// A tenant that could not be migrated.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which.
    pub tenant: FleetTenant,
    /// Why.
    pub error: Arc<Error>,
}

/// What an adapter migrates with: one at a time, and as many of these as are to work at once.
#[async_trait]
pub trait FleetWorker: Send + 'static {
    /// Brings the storage that these tenants have in common to the target, and records that it is there.
    ///
    /// It may be called again after an error.
    async fn migrate(&mut self, tenants: &[FleetTenant]) -> Result<Outcome>;

    /// Called last.
    async fn close(&mut self);
}

type Queue = Arc<Mutex<VecDeque<Vec<FleetTenant>>>>;

impl FleetRun {
    /// For adapters: has the workers see to every group of tenants, which have their storage in common.
    pub fn start<W: FleetWorker>(skipped: usize, groups: Vec<Vec<FleetTenant>>, workers: Vec<W>) -> Self {
        let of = groups.iter().map(Vec::len).sum();
        let (sender, results) = mpsc::unbounded_channel();
        let queue: Queue = Arc::new(Mutex::new(groups.into()));
        for worker in workers {
            tokio::spawn(work(worker, queue.clone(), sender.clone()));
        }
        Self { results, of, report: FleetReport { skipped, ..FleetReport::default() } }
    }

    /// How many tenants there were that are not touched.
    pub fn skipped(&self) -> usize {
        self.report.skipped
    }

    /// How many tenants there are to see to.
    pub fn of(&self) -> usize {
        self.of
    }

    /// What became of the next tenant; `None` when all are done. Dropping the call loses nothing.
    pub async fn next(&mut self) -> Option<Progress> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Waits for the end.
    pub async fn finish(mut self) -> FleetReport {
        while self.next().await.is_some() {}
        self.report
    }
}

impl Stream for FleetRun {
    type Item = Progress;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Progress>> {
        let Some((tenant, outcome)) = ready!(self.results.poll_recv(context)) else {
            return Poll::Ready(None);
        };
        let report = &mut self.report;
        match &outcome {
            Outcome::Current => report.current += 1,
            Outcome::Migrated { .. } => report.migrated += 1,
            Outcome::Failed(error) => {
                report.failed.push(Failure { tenant: tenant.clone(), error: error.clone() });
            }
        }
        let done = report.current + report.migrated + report.failed.len();
        Poll::Ready(Some(Progress { tenant, done, of: self.of, outcome }))
    }
}

impl FleetReport {
    /// An error that names those that failed: [`Unavailable`](crate::ErrorKind::Unavailable) `tenants_not_migrated`.
    pub fn into_result(self) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.failed.iter().map(|failure| failure.tenant.id.to_string()).collect();
        let all = self.current + self.migrated + names.len();
        let message = format!("{} of {all} tenants could not be migrated: {}", names.len(), names.join(", "));
        Err(Error::of(code::TENANTS_NOT_MIGRATED).with_message(message))
    }
}

async fn work<W: FleetWorker>(mut worker: W, queue: Queue, results: UnboundedSender<(FleetTenant, Outcome)>) {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while !results.is_closed()
        && let Some(tenants) = next()
    {
        let migrated = AssertUnwindSafe(worker.migrate(&tenants)).catch_unwind().await;
        let outcome = migrated.unwrap_or_else(|_| Err(Error::internal("migrating a tenant panicked")));
        let outcome = outcome.unwrap_or_else(|error| Outcome::Failed(Arc::new(error)));
        for tenant in tenants {
            if let Outcome::Failed(error) = &outcome {
                tracing::error!(tenant = %tenant.id, ?error, "a tenant could not be migrated");
            }
            // Nobody may be looking any more.
            let _unseen = results.send((tenant, outcome.clone()));
        }
    }
    worker.close().await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::{environment::Environment, id::TenantId, tenant::Isolation};

    fn groups(count: usize) -> Vec<Vec<FleetTenant>> {
        let tenant = |index| FleetTenant {
            id: TenantId::generate(&Environment::system()),
            slug: format!("tenant-{index}").parse().unwrap(),
            isolation: Isolation::Database,
        };
        (0..count).map(|index| vec![tenant(index)]).collect()
    }

    /// Panics at the first, fails at the second, and waits for leave to do the others.
    struct Scripted {
        begun: Arc<AtomicUsize>,
        ended: Arc<AtomicUsize>,
        leave: Arc<Semaphore>,
    }

    impl Scripted {
        fn new(leave: usize) -> Self {
            let leave = Arc::new(Semaphore::new(leave));
            Self { begun: Arc::default(), ended: Arc::default(), leave }
        }

        fn clone(&self) -> Self {
            Self { begun: self.begun.clone(), ended: self.ended.clone(), leave: self.leave.clone() }
        }
    }

    #[async_trait]
    impl FleetWorker for Scripted {
        async fn migrate(&mut self, tenants: &[FleetTenant]) -> Result<Outcome> {
            self.begun.fetch_add(1, Ordering::SeqCst);
            match tenants[0].slug.as_str() {
                "tenant-0" => panic!("as a fault of ours would"),
                "tenant-1" => return Err(Error::config("broken")),
                _ => {}
            }
            self.leave.acquire().await.unwrap().forget();
            self.ended.fetch_add(1, Ordering::SeqCst);
            Ok(Outcome::Migrated { from: 1, to: 2 })
        }

        async fn close(&mut self) {
            self.leave.close();
        }
    }

    #[tokio::test]
    async fn a_panic_and_an_error_are_one_tenants_failure() {
        let run = FleetRun::start(3, groups(6), vec![Scripted::new(9)]);
        assert_eq!((run.skipped(), run.of()), (3, 6));
        let report = run.finish().await;
        assert_eq!((report.skipped, report.migrated, report.failed.len()), (3, 4, 2));
        assert_eq!(report.failed[1].error.to_string(), "broken");
        let error = report.into_result().unwrap_err();
        assert!(error.to_string().starts_with("2 of 6 tenants could not be migrated: "), "{error}");
    }

    /// What is under way is completed, and nothing new is begun.
    #[tokio::test]
    async fn a_dropped_run_ends_what_it_has_begun() {
        let worker = Scripted::new(1);
        let mut run = FleetRun::start(0, groups(9), vec![worker.clone()]);
        for done in 1..=3 {
            assert_eq!(run.next().await.unwrap().done, done);
        }
        while worker.begun.load(Ordering::SeqCst) < 4 {
            tokio::task::yield_now().await;
        }
        drop(run);
        worker.leave.add_permits(5);
        while !worker.leave.is_closed() {
            tokio::task::yield_now().await;
        }
        assert_eq!((worker.begun.load(Ordering::SeqCst), worker.ended.load(Ordering::SeqCst)), (4, 2));
    }
}
