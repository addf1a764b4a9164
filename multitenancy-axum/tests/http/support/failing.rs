use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use multitenancy_core::{
    ControlTransaction, Environment, Error, Isolation, Result, Store, Tenant, TenantTransaction,
    memory::MemoryStore,
    store::Signals,
    tenant::{ControlContext, TenantContext},
};

/// What a database says when it is least careful.
pub const LEAK: &str = "UNIQUE constraint failed: secret.sql at /var/lib/db \u{1b}[31m\r\nforged line";

/// A store that can be told to fail.
#[derive(Clone)]
pub struct FailingStore {
    inner: MemoryStore,
    broken: Arc<AtomicBool>,
}

impl FailingStore {
    pub fn new(environment: Environment) -> Self {
        Self { inner: MemoryStore::new(environment), broken: Arc::default() }
    }

    pub fn break_down(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::internal(LEAK).with_context("sql", LEAK));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Store for FailingStore {
    async fn control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        self.check()?;
        self.inner.control(context).await
    }

    async fn read_control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        self.check()?;
        self.inner.read_control(context).await
    }

    async fn begin(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        self.check()?;
        self.inner.begin(context).await
    }

    async fn read(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        self.check()?;
        self.inner.read(context).await
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

    async fn ping(&self) -> Result<()> {
        self.check()
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

    fn local_secret(&self, name: &str) -> Result<Option<secrecy::SecretString>> {
        self.inner.local_secret(name)
    }
}
