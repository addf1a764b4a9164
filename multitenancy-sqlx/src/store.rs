//! The methods that open units of work; both engines share them.

use async_trait::async_trait;
use multitenancy_core::{
    ControlContext, ControlTransaction, Environment, Isolation, Plane, Result, Store, Tenant, TenantContext,
    TenantTransaction,
    store::{Fleet, Signals},
};
use secrecy::SecretString;

use super::{
    Engine,
    error::store_error,
    location::StorageLocation,
    unit::{Access, Transaction, UnitSpec},
};

impl Engine {
    /// Opens a transaction in the context's tenant. On SQLite it holds the file's write lock: units that write run
    /// one at a time.
    ///
    /// A handler calls it after it has read the request body. Every extractor for a tenant converts to
    /// `&TenantContext`.
    pub async fn begin(&self, context: &TenantContext) -> Result<Transaction> {
        self.open_tenant(context, Access::Write).await
    }

    /// Opens a read-only snapshot in the context's tenant.
    pub async fn read(&self, context: &TenantContext) -> Result<Transaction> {
        self.open_tenant(context, Access::Read).await
    }

    /// Opens a transaction on the control plane.
    pub async fn control(&self, context: &ControlContext) -> Result<Transaction<ControlContext>> {
        self.open_control(context, Access::Write).await
    }

    /// Opens a read-only snapshot of the control plane.
    pub async fn read_control(&self, context: &ControlContext) -> Result<Transaction<ControlContext>> {
        self.open_control(context, Access::Read).await
    }

    async fn open_control(
        &self,
        context: &ControlContext,
        access: Access,
    ) -> Result<Transaction<ControlContext>> {
        let spec = UnitSpec { plane: Plane::Control, location: StorageLocation::control(), access };
        let unit = self.unit(spec, context.origin()).await?;
        Ok(Transaction::new(unit, context.clone()))
    }

    async fn open_tenant(&self, context: &TenantContext, access: Access) -> Result<Transaction> {
        let tenant = context.tenant();
        let location = StorageLocation::of(tenant);
        let spec = UnitSpec { plane: Plane::Tenant(tenant.id), location, access };
        let mut unit = self.unit(spec, context.origin()).await?;
        unit.bypasses_fence = tenant.status.is_closed();
        Ok(Transaction::new(unit, context.clone()))
    }
}

#[async_trait]
impl Store for Engine {
    async fn control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        Ok(Box::new(self.control(context).await?))
    }

    async fn read_control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>> {
        Ok(Box::new(self.read_control(context).await?))
    }

    async fn begin(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        Ok(Box::new(self.begin(context).await?))
    }

    async fn read(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>> {
        Ok(Box::new(self.read(context).await?))
    }

    async fn migrate(&self) -> Result<()> {
        self.migrate().await
    }

    fn fleet(&self) -> &dyn Fleet {
        self
    }

    async fn provision(&self, tenant: &Tenant) -> Result<()> {
        self.make_storage(tenant).await
    }

    async fn deprovision(&self, tenant: &Tenant) -> Result<()> {
        self.remove_storage(tenant).await
    }

    async fn close(&self, tenant: &Tenant) -> Result<()> {
        self.raise_fence(tenant).await
    }

    async fn reopen(&self, tenant: &Tenant) -> Result<()> {
        self.lower_stale_fence(tenant).await
    }

    async fn ping(&self) -> Result<()> {
        let mut unit = self.read_control(&ControlContext::system("health")).await?;
        sqlx::query("SELECT 1").execute(unit.conn()).await.map_err(store_error)?;
        Ok(())
    }

    fn isolations(&self) -> &[Isolation] {
        self.kept_apart_by()
    }

    fn signals(&self) -> &Signals {
        &self.inner.signals
    }

    fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    fn local_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.stored_secret(name)
    }
}
