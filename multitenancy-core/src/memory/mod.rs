//! The reference store: every port, in memory. For tests, and to read what the clauses of a port mean.

mod audit;
mod fleet;
mod outbox;
mod plane;
mod registry;
mod sessions;
mod unit;
mod users;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;

use self::{
    plane::PlaneData,
    registry::Registry,
    unit::{MemoryUnit, Shared},
};
use crate::{
    actor::Origin,
    environment::Environment,
    error::{Error, Result, code},
    id::{Plane, TenantId},
    store::{ControlTransaction, Fleet, Signals, Store, TenantTransaction},
    tenant::{ControlContext, Isolation, Tenant, TenantContext},
};

/// Keeps everything in memory, until the last clone is dropped. Cheap to clone.
///
/// A unit of work has a copy of its plane and puts it back on commit; units that write take turns.
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

struct Inner {
    environment: Environment,
    signals: Arc<Signals>,
    control: Shared<Control>,
    tenants: Mutex<HashMap<TenantId, Shared<PlaneData>>>,
    secrets: Mutex<HashMap<String, SecretString>>,
}

/// The control plane: a plane like any other, and the registry.
#[derive(Clone, Default)]
struct Control {
    plane: PlaneData,
    registry: Registry,
}

/// How long a unit that writes waits for its turn.
const TURN: Duration = Duration::from_secs(5);

impl MemoryStore {
    /// An empty store.
    pub fn new(environment: Environment) -> Self {
        let inner = Inner {
            environment,
            signals: Arc::default(),
            control: Shared::default(),
            tenants: Mutex::default(),
            secrets: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn tenant(&self, id: TenantId) -> Result<Shared<PlaneData>> {
        let tenants = self.inner.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants
            .get(&id)
            .cloned()
            .ok_or_else(|| Error::of(code::TENANT_STORAGE_MISSING).with_context("tenant", id))
    }

    fn unit<D: Clone>(&self, shared: &Shared<D>, plane: Plane, origin: &Origin) -> MemoryUnit<D> {
        MemoryUnit::read(shared, plane, origin.clone(), &self.inner.environment, &self.inner.signals)
    }

    async fn writing<D: Clone>(
        &self,
        shared: &Shared<D>,
        plane: Plane,
        origin: &Origin,
    ) -> Result<MemoryUnit<D>> {
        let turn = tokio::time::timeout(TURN, shared.turn())
            .await
            .map_err(|_| Error::overloaded("too much is being written", Duration::from_secs(1)))?;
        Ok(self.unit(shared, plane, origin).with_turn(turn))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Environment::system())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        Ok(Box::new(self.writing(&self.inner.control, Plane::Control, context.origin()).await?))
    }

    async fn read_control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        Ok(Box::new(self.unit(&self.inner.control, Plane::Control, context.origin())))
    }

    async fn begin(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        let shared = self.tenant(context.tenant_id())?;
        let plane = Plane::Tenant(context.tenant_id());
        let unit = self.writing(&shared, plane, context.origin()).await?;
        Ok(Box::new(unit.inside(context.clone(), &self.inner.control)))
    }

    async fn read(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        let shared = self.tenant(context.tenant_id())?;
        let plane = Plane::Tenant(context.tenant_id());
        let unit = self.unit(&shared, plane, context.origin());
        Ok(Box::new(unit.inside(context.clone(), &self.inner.control)))
    }

    async fn migrate(&self) -> Result<()> {
        Ok(())
    }

    fn fleet(&self) -> &dyn Fleet {
        self
    }

    async fn provision(&self, tenant: &Tenant) -> Result<()> {
        if !self.isolations().contains(&tenant.isolation) {
            return Err(Error::config(format!("isolation {} is not supported", tenant.isolation)));
        }
        self.inner.tenants.lock().unwrap_or_else(PoisonError::into_inner).entry(tenant.id).or_default();
        Ok(())
    }

    async fn deprovision(&self, tenant: &Tenant) -> Result<()> {
        self.inner.tenants.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant.id);
        Ok(())
    }

    /// Commits look at the registry itself.
    async fn close(&self, _: &Tenant) -> Result<()> {
        Ok(())
    }

    async fn reopen(&self, _: &Tenant) -> Result<()> {
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    fn isolations(&self) -> &[Isolation] {
        &[Isolation::Database]
    }

    fn signals(&self) -> &Signals {
        &self.inner.signals
    }

    fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    fn local_secret(&self, name: &str) -> Result<Option<SecretString>> {
        let mut secrets = self.inner.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || URL_SAFE_NO_PAD.encode(self.inner.environment.bytes::<48>()).into();
        Ok(Some(secrets.entry(name.to_owned()).or_insert_with(fresh).clone()))
    }
}
