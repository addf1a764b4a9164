//! A store that tells of every call on it: to count them, to delay them, to make them fail, to cut them off.

mod repositories;
mod unit;

use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use multitenancy_core::{
    ControlContext, ControlTransaction, Environment, Isolation, Plane, Result, Store, Tenant, TenantContext,
    TenantTransaction,
    store::{Fleet, Signals},
};
use secrecy::SecretString;

use self::unit::ProbedUnit;

/// A call on a store, or on a unit of work of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Which one, such as `begin`, `users.insert` or `commit`.
    pub name: &'static str,
    /// On which plane, as far as it is one plane's.
    pub plane: Option<Plane>,
    /// Whether it is about to happen or has happened.
    pub moment: Moment,
}

/// When a [`Probe`] is told of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It has not reached the store yet.
    Before,
    /// The store has done it, and the caller has not learned of it yet.
    After,
}

/// Is told of every call. A closure from [`Call`] to a future is one.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// Lets the call go on when it returns `Ok`; its error becomes the call's. It may take its time, or never
    /// return, or panic.
    async fn call(&self, call: Call) -> Result<()>;
}

#[async_trait]
impl<F, O> Probe for F
where
    F: Fn(Call) -> O + Send + Sync + 'static,
    O: Future<Output = Result<()>> + Send,
{
    async fn call(&self, call: Call) -> Result<()> {
        self(call).await
    }
}

/// A store with a [`Probe`] in front of it. Cheap to clone.
#[derive(Clone)]
pub struct ProbedStore {
    inner: Arc<dyn Store>,
    probe: Arc<dyn Probe>,
    embedded: bool,
    audited: bool,
}

impl ProbedStore {
    /// Tells `probe` of every call on `store`.
    pub fn new(store: Arc<dyn Store>, probe: impl Probe) -> Self {
        Self { inner: store, probe: Arc::new(probe), embedded: true, audited: false }
    }

    /// Lets other tasks run before and after every call, so that it can be interrupted there.
    pub fn yielding(store: Arc<dyn Store>) -> Self {
        Self::new(store, async |_| {
            tokio::task::yield_now().await;
            Ok(())
        })
    }

    /// Panics when a unit of work that changes a noun commits without a record in the audit log.
    #[must_use]
    pub fn requiring_audit(self) -> Self {
        Self { audited: true, ..self }
    }

    /// Keeps no secrets, as a store that several processes share.
    #[must_use]
    pub fn without_local_secret(self) -> Self {
        Self { embedded: false, ..self }
    }

    async fn around<T: Send>(
        &self,
        name: &'static str,
        plane: Option<Plane>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        around(&*self.probe, name, plane, call).await
    }
}

async fn around<T: Send>(
    probe: &dyn Probe,
    name: &'static str,
    plane: Option<Plane>,
    call: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    let told = |moment| Call { name, plane, moment };
    probe.call(told(Moment::Before)).await?;
    let outcome = call.await?;
    probe.call(told(Moment::After)).await?;
    Ok(outcome)
}

impl fmt::Debug for ProbedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbedStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for ProbedStore {
    async fn control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        let call = self.inner.control(context);
        let inner = self.around("control", Some(Plane::Control), call).await?;
        Ok(Box::new(ProbedUnit::new(inner, self)))
    }

    async fn read_control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        let call = self.inner.read_control(context);
        let inner = self.around("read_control", Some(Plane::Control), call).await?;
        Ok(Box::new(ProbedUnit::new(inner, self)))
    }

    async fn begin(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        let plane = Plane::Tenant(context.tenant_id());
        let inner = self.around("begin", Some(plane), self.inner.begin(context)).await?;
        Ok(Box::new(ProbedUnit::new(inner, self)))
    }

    async fn read(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        let plane = Plane::Tenant(context.tenant_id());
        let inner = self.around("read", Some(plane), self.inner.read(context)).await?;
        Ok(Box::new(ProbedUnit::new(inner, self)))
    }

    async fn migrate(&self) -> Result<()> {
        self.around("migrate", None, self.inner.migrate()).await
    }

    fn fleet(&self) -> &dyn Fleet {
        self.inner.fleet()
    }

    async fn provision(&self, tenant: &Tenant) -> Result<()> {
        let plane = Plane::Tenant(tenant.id);
        self.around("provision", Some(plane), self.inner.provision(tenant)).await
    }

    async fn deprovision(&self, tenant: &Tenant) -> Result<()> {
        let plane = Plane::Tenant(tenant.id);
        self.around("deprovision", Some(plane), self.inner.deprovision(tenant)).await
    }

    async fn close(&self, tenant: &Tenant) -> Result<()> {
        let plane = Plane::Tenant(tenant.id);
        self.around("close", Some(plane), self.inner.close(tenant)).await
    }

    async fn reopen(&self, tenant: &Tenant) -> Result<()> {
        let plane = Plane::Tenant(tenant.id);
        self.around("reopen", Some(plane), self.inner.reopen(tenant)).await
    }

    async fn ping(&self) -> Result<()> {
        self.around("ping", None, self.inner.ping()).await
    }

    fn isolations(&self) -> &[Isolation] {
        self.inner.isolations()
    }

    fn signals(&self) -> &Signals {
        self.inner.signals()
    }

    fn environment(&self) -> &Environment {
        self.inner.environment()
    }

    fn local_secret(&self, name: &str) -> Result<Option<SecretString>> {
        if !self.embedded {
            return Ok(None);
        }
        self.inner.local_secret(name)
    }
}
