use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use multitenancy::{
    ControlContext, ControlTransaction, Environment, Isolation, Plane, Result, Store, Tenant, TenantContext,
    TenantTransaction, UnitOfWork,
    actor::Origin,
    repositories,
    store::{Fleet, Signals},
};
use secrecy::SecretString;

/// Wraps a store and counts the outcomes of its units of work. Clones share the counters.
#[derive(Clone)]
pub struct MeteredStore<S> {
    inner: S,
    counters: Arc<Counters>,
}

/// The number of units of work, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Units that could not be opened.
    pub not_opened: u64,
    /// Read-only units that have ended.
    pub read: u64,
    /// Units whose commit succeeded.
    pub committed: u64,
    /// Units whose commit failed or was cancelled.
    pub not_committed: u64,
    /// Units that could write and were dropped without a commit.
    pub rolled_back: u64,
}

#[derive(Default)]
struct Counters {
    not_opened: AtomicU64,
    read: AtomicU64,
    committed: AtomicU64,
    not_committed: AtomicU64,
    rolled_back: AtomicU64,
}

impl<S> MeteredStore<S> {
    /// Counts the units of `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, counters: Arc::default() }
    }

    /// The outcomes of all units that have ended, and of those that could not be opened.
    pub fn outcomes(&self) -> Outcomes {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Outcomes {
            not_opened: count(&self.counters.not_opened),
            read: count(&self.counters.read),
            committed: count(&self.counters.committed),
            not_committed: count(&self.counters.not_committed),
            rolled_back: count(&self.counters.rolled_back),
        }
    }

    /// Wraps a new unit. `end` is its outcome if it is dropped.
    fn metered<T: ?Sized>(&self, opened: Result<Box<T>>, end: End) -> Result<Box<MeteredUnit<T>>> {
        let counters = self.counters.clone();
        match opened {
            Ok(inner) => Ok(Box::new(MeteredUnit { inner, entry: Entry { counters, end } })),
            Err(error) => {
                counters.not_opened.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

impl<S> fmt::Debug for MeteredStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredStore").field("outcomes", &self.outcomes()).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: Store> Store for MeteredStore<S> {
    async fn control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        Ok(self.metered(self.inner.control(context).await, End::RolledBack)?)
    }

    async fn read_control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        Ok(self.metered(self.inner.read_control(context).await, End::Read)?)
    }

    async fn begin(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        Ok(self.metered(self.inner.begin(context).await, End::RolledBack)?)
    }

    async fn read(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        Ok(self.metered(self.inner.read(context).await, End::Read)?)
    }

    async fn migrate(&self) -> Result<()> {
        self.inner.migrate().await
    }

    async fn provision(&self, tenant: &Tenant) -> Result<()> {
        self.inner.provision(tenant).await
    }

    async fn deprovision(&self, tenant: &Tenant) -> Result<()> {
        self.inner.deprovision(tenant).await
    }

    async fn close(&self, tenant: &Tenant) -> Result<()> {
        self.inner.close(tenant).await
    }

    async fn reopen(&self, tenant: &Tenant) -> Result<()> {
        self.inner.reopen(tenant).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    fn isolations(&self) -> &[Isolation] {
        self.inner.isolations()
    }

    fn fleet(&self) -> &dyn Fleet {
        self.inner.fleet()
    }

    // The commits of the inner store send its signals, and this wrapper changes no data itself.
    fn signals(&self) -> &Signals {
        self.inner.signals()
    }

    fn environment(&self) -> &Environment {
        self.inner.environment()
    }

    fn local_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.inner.local_secret(name)
    }
}

/// A unit of either plane: `T` is `dyn ControlTransaction` or `dyn TenantTransaction`.
struct MeteredUnit<T: ?Sized> {
    inner: Box<T>,
    entry: Entry,
}

/// Counts its unit when it is dropped.
struct Entry {
    counters: Arc<Counters>,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Read,
    RolledBack,
    Committed,
    NotCommitted,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let counter = match self.end {
            End::Read => &self.counters.read,
            End::RolledBack => &self.counters.rolled_back,
            End::Committed => &self.counters.committed,
            End::NotCommitted => &self.counters.not_committed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl<T: UnitOfWork + ?Sized> UnitOfWork for MeteredUnit<T> {
    fn plane(&self) -> Plane {
        self.inner.plane()
    }

    fn origin(&self) -> &Origin {
        self.inner.origin()
    }

    fn environment(&self) -> &Environment {
        self.inner.environment()
    }

    repositories!(UnitOfWork of self.inner);

    async fn commit(self: Box<Self>) -> Result<()> {
        let Self { inner, mut entry } = *self;
        if entry.end == End::Read {
            return inner.commit().await;
        }
        // The outcome until the commit returns: the future may be dropped before.
        entry.end = End::NotCommitted;
        inner.commit().await?;
        entry.end = End::Committed;
        Ok(())
    }
}

impl ControlTransaction for MeteredUnit<dyn ControlTransaction> {
    repositories!(ControlTransaction of self.inner);
}

impl TenantTransaction for MeteredUnit<dyn TenantTransaction> {
    fn context(&self) -> &TenantContext {
        self.inner.context()
    }

    repositories!(TenantTransaction of self.inner);
}
