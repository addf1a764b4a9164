use async_trait::async_trait;
use multitenancy_core::{
    ControlContext, ControlTransaction, Environment, EventId, Plane, Result, Store, TenantContext, TenantId,
    TenantTransaction, UnitOfWork,
    actor::Origin,
    event::{Event, Outbox},
    repositories,
};

use super::{Unit, engine::Connection};

/// A transaction inside one tenant. It cannot reach other tenants' rows.
///
/// Nothing is stored until [`commit`](Self::commit); dropping the transaction rolls it back.
///
/// The context type states the plane: a tenant's by default, or the control plane, with a [`ControlContext`].
pub struct Transaction<C = TenantContext> {
    unit: Unit,
    context: C,
}

impl<C> Transaction<C> {
    pub(crate) fn new(unit: Unit, context: C) -> Self {
        Self { unit, context }
    }

    /// Notifies other processes, on commit, that their cached data of this tenant is out of date.
    pub(crate) fn tenant_changed(&mut self, id: TenantId) {
        self.unit.lease.tenant_changed(id);
    }

    /// The connection, for the application's own SQL. Its statements are part of this transaction.
    ///
    /// Nested transactions (`sqlx::Connection::begin`) are savepoints. Do not write BEGIN, COMMIT or ROLLBACK as SQL,
    /// nor a statement that rolls back by itself (`INSERT OR ROLLBACK`): later statements would not be part of this
    /// transaction. On SQLite, a transaction that has attached a file is not committed.
    #[expect(
        clippy::expect_used,
        reason = "the lease has its connection as long as the transaction is there"
    )]
    pub fn conn(&mut self) -> &mut Connection {
        self.unit.connection().expect("a transaction has a connection")
    }

    /// Publishes an event with this transaction: it is delivered at least once, and only after the commit.
    pub async fn publish<E: Event>(&mut self, event: E) -> Result<EventId> {
        let envelope = self.unit.seal(&event)?;
        self.unit.append(&envelope).await?;
        Ok(envelope.event_id)
    }

    /// Commits everything done in this transaction.
    pub async fn commit(self) -> Result<()> {
        self.unit.commit().await
    }
}

#[async_trait]
impl<C: Send + Sync> UnitOfWork for Transaction<C> {
    fn plane(&self) -> Plane {
        self.unit.plane
    }

    fn origin(&self) -> &Origin {
        &self.unit.origin
    }

    fn environment(&self) -> &Environment {
        self.unit.store.environment()
    }

    repositories!(UnitOfWork in self.unit);

    async fn commit(self: Box<Self>) -> Result<()> {
        self.unit.commit().await
    }
}

impl TenantTransaction for Transaction {
    fn context(&self) -> &TenantContext {
        &self.context
    }

    repositories!(TenantTransaction in self.unit);
}

impl ControlTransaction for Transaction<ControlContext> {
    repositories!(ControlTransaction in self.unit);
}
