use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use multitenancy_core::{
    ControlContext, ControlTransaction, Environment, Error, Isolation, Plane, Result, SessionId, Store,
    Tenant, TenantContext, TenantTransaction, UnitOfWork, User,
    actor::Origin,
    event::LeaseId,
    repositories,
    secret::TokenDigest,
    store::{Fleet, Signals},
    tenant::{TenantStatus, tenant_inactive},
};
use multitenancy_testkit::fixtures;
use secrecy::SecretString;

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The query for an address has lost its filter.
    FindsAnyAddress,
    /// A refresh token is compared with what was read before the turn came: select, then update.
    RotatesWhatItReadBefore,
    /// Events are claimed without regard to the earlier ones of their aggregate.
    ClaimsPastHeldEvents,
    /// The relay asks for ids above the last one it saw.
    PollsByLastId,
    /// Whoever says that an event was delivered is believed.
    ForgetsFencing,
    /// A unit that reads is one that writes.
    WritesInReads,
    /// A unit that reads sees what is committed meanwhile.
    ReadsAreLive,
    /// No commit tells what it has changed.
    SignalsNothing,
    /// The first tenant that was opened is opened for all.
    MixesUpTenants,
    /// Users who are not found in a tenant are looked up on the platform.
    SeesThePlatform,
    /// Dropping a unit commits it.
    KeepsWhatIsDropped,
    /// A list ends after its first page.
    ListsOnePage,
    /// A status is set whatever it was.
    ComparesNoStatus,
    /// A tenant that is closed is one like any other.
    CommitsInClosedTenants,
    /// Whether a tenant is closed is asked, and then there is a commit.
    LooksBeforeItCommits,
    /// Instants lose their microseconds.
    CutsInstants,
    /// Every delivery is the first.
    ConsumesAgain,
    /// Making storage anew empties it.
    ProvisionWipes,
    /// An unknown isolation becomes the one there is.
    TakesAnyIsolation,
    /// Whoever is cut off while opening a unit leaves its lock behind.
    LeavesItsLock,
    /// Whoever is cut off while opening a unit leaves a transaction behind, in which the next one works (sqlx 0.9).
    SwallowsTheNextCommit,
}

/// A store with a [`Fault`].
pub struct BrokenStore {
    inner: Arc<dyn Store>,
    pub fault: Fault,
    pub memory: Arc<Memory>,
    no_signals: Signals,
}

/// What a broken store remembers that it should not.
#[derive(Default)]
pub struct Memory {
    pub first_tenant: Mutex<Option<TenantContext>>,
    pub first_user: Mutex<Option<User>>,
    pub good_tokens: Mutex<HashMap<TokenDigest, SessionId>>,
    pub holders: Mutex<HashMap<multitenancy_core::EventId, LeaseId>>,
    pub last_sequence: AtomicI64,
    left_behind: AtomicBool,
}

impl BrokenStore {
    pub fn new(inner: Arc<dyn Store>, fault: Fault) -> Self {
        Self { inner, fault, memory: Arc::default(), no_signals: Signals::default() }
    }

    fn unit<U: UnitOfWork + ?Sized + 'static>(
        &self,
        inner: Box<U>,
        good_tokens: HashMap<TokenDigest, SessionId>,
    ) -> BrokenUnit<U> {
        let stale = self.fault == Fault::SwallowsTheNextCommit
            && self.memory.left_behind.swap(false, Ordering::AcqRel);
        BrokenUnit {
            inner: Some(inner),
            fault: self.fault,
            memory: self.memory.clone(),
            store: self.inner.clone(),
            good_tokens,
            rotated: Vec::new(),
            stale,
            commit: |unit| drop(finish(unit.commit())),
        }
    }

    fn good_tokens(&self) -> HashMap<TokenDigest, SessionId> {
        self.memory.good_tokens.lock().unwrap().clone()
    }

    fn context(&self, context: &TenantContext) -> TenantContext {
        match self.fault {
            Fault::MixesUpTenants => {
                self.memory.first_tenant.lock().unwrap().get_or_insert_with(|| context.clone()).clone()
            }
            Fault::CommitsInClosedTenants | Fault::LooksBeforeItCommits => fixtures::context(&Tenant {
                status: TenantStatus::Suspended,
                ..Tenant::clone(context.tenant())
            }),
            _ => context.clone(),
        }
    }

    /// What a connection does before it says that a transaction has begun.
    async fn open(&self) -> Result<()> {
        let left_behind = &self.memory.left_behind;
        if self.fault == Fault::LeavesItsLock && left_behind.swap(true, Ordering::AcqRel) {
            return Err(Error::internal("somebody else holds the lock"));
        }
        if self.fault == Fault::SwallowsTheNextCommit {
            left_behind.store(true, Ordering::Release);
        }
        tokio::task::yield_now().await;
        left_behind.store(false, Ordering::Release);
        Ok(())
    }
}

/// Runs what never waits, as no commit in memory does.
fn finish<T>(work: impl Future<Output = T>) -> Option<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[async_trait]
impl Store for BrokenStore {
    async fn control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        let tokens = self.good_tokens();
        let unit = self.unit(self.inner.control(context).await?, tokens);
        self.open().await?;
        Ok(Box::new(unit))
    }

    async fn read_control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        let inner = match self.fault {
            Fault::WritesInReads => self.inner.control(context).await?,
            _ => self.inner.read_control(context).await?,
        };
        Ok(Box::new(self.unit(inner, HashMap::new())))
    }

    async fn begin(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        let tokens = self.good_tokens();
        let unit = self.unit(self.inner.begin(&self.context(context)).await?, tokens);
        self.open().await?;
        Ok(Box::new(unit))
    }

    async fn read(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        let context = self.context(context);
        let inner = match self.fault {
            Fault::WritesInReads => self.inner.begin(&context).await?,
            _ => self.inner.read(&context).await?,
        };
        Ok(Box::new(self.unit(inner, HashMap::new())))
    }

    async fn migrate(&self) -> Result<()> {
        self.inner.migrate().await
    }

    fn fleet(&self) -> &dyn Fleet {
        self.inner.fleet()
    }

    async fn provision(&self, tenant: &Tenant) -> Result<()> {
        match self.fault {
            Fault::ProvisionWipes => self.inner.deprovision(tenant).await?,
            Fault::TakesAnyIsolation => {
                let isolation = self.inner.isolations()[0];
                return self.inner.provision(&Tenant { isolation, ..tenant.clone() }).await;
            }
            _ => {}
        }
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

    fn signals(&self) -> &Signals {
        match self.fault {
            Fault::SignalsNothing => &self.no_signals,
            _ => self.inner.signals(),
        }
    }

    fn environment(&self) -> &Environment {
        self.inner.environment()
    }

    fn local_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.inner.local_secret(name)
    }
}

/// A unit of work with a [`Fault`].
pub struct BrokenUnit<U: ?Sized> {
    inner: Option<Box<U>>,
    pub fault: Fault,
    pub memory: Arc<Memory>,
    pub store: Arc<dyn Store>,
    pub good_tokens: HashMap<TokenDigest, SessionId>,
    pub rotated: Vec<(TokenDigest, TokenDigest, SessionId)>,
    stale: bool,
    /// How to commit: a drop knows nothing of what `U` is.
    commit: fn(Box<U>),
}

impl<U: ?Sized> BrokenUnit<U> {
    pub fn inner(&mut self) -> &mut U {
        self.inner.as_mut().expect("there until it is committed")
    }

    pub fn inner_ref(&self) -> &U {
        self.inner.as_ref().expect("there until it is committed")
    }
}

#[async_trait]
impl<U: UnitOfWork + ?Sized + 'static> UnitOfWork for BrokenUnit<U> {
    fn plane(&self) -> Plane {
        self.inner_ref().plane()
    }

    fn origin(&self) -> &Origin {
        self.inner_ref().origin()
    }

    fn environment(&self) -> &Environment {
        self.inner_ref().environment()
    }

    repositories!(UnitOfWork in self);

    async fn commit(mut self: Box<Self>) -> Result<()> {
        let inner = self.inner.take().expect("committed once");
        if self.stale {
            return Ok(());
        }
        if let (Fault::LooksBeforeItCommits, Plane::Tenant(id)) = (self.fault, inner.plane()) {
            let mut registry = self.store.read_control(&ControlContext::system("test")).await?;
            let tenant = registry.tenants().find(&id.into()).await?;
            if tenant.is_some_and(|tenant| tenant.status.is_closed()) {
                return Err(tenant_inactive(id));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        inner.commit().await?;
        let mut good = self.memory.good_tokens.lock().unwrap();
        for (spent, successor, session) in self.rotated.drain(..) {
            good.remove(&spent);
            good.insert(successor, session);
        }
        Ok(())
    }
}

/// Only for [`Fault::KeepsWhatIsDropped`].
impl<U: ?Sized> Drop for BrokenUnit<U> {
    fn drop(&mut self) {
        if let (Fault::KeepsWhatIsDropped, Some(inner)) = (self.fault, self.inner.take()) {
            (self.commit)(inner);
        }
    }
}
