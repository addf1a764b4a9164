//! What a storage adapter implements: units of work on the two planes, and the storage of tenants itself.
//!
//! # How to write an adapter
//! 1. Implement the repositories of [`ports`] on your transaction type. No method takes a tenant id to choose rows by:
//!    the transaction knows its plane.
//! 2. Implement [`UnitOfWork`] on it, and [`ControlTransaction`] or [`TenantTransaction`]. The macro
//!    [`repositories!`](crate::repositories!) writes their accessors, also those of a unit that passes on to another.
//! 3. Implement [`Store`] and [`Fleet`], and tell the [`Signals`] what a commit has changed.
//! 4. Run the suite of `multitenancy-testkit` against it. Every numbered clause in these traits is a case there.
//!
//! # How to add a repository
//! 1. Write the noun and its port in a module of their own, each method's behaviour in numbered clauses.
//! 2. List the port in `store/repositories.rs`: its accessor, its methods and the types in them. All that passes on to
//!    another store has it from there.
//! 3. Follow the compiler: it asks for the port on the transactions of `memory` and of each adapter.
//! 4. Write the cases of the clauses in `multitenancy-testkit`, and a row of the table in the tests of
//!    isolation. `docs/adding-a-noun.md` names every file.

pub mod fleet;
mod repositories;
mod signals;
mod status;

use std::future::Future;

use async_trait::async_trait;
use secrecy::SecretString;

pub use self::{
    fleet::Fleet,
    repositories::ports,
    signals::Signals,
    status::{ChangedStatus, change_status},
};
use crate::{
    actor::Origin,
    audit::Action,
    environment::Environment,
    error::Result,
    event::{Envelope, Event},
    id::{EventId, Plane},
    repositories,
    tenant::{ControlContext, Isolation, Tenant, TenantContext},
};

/// Keeps everything: the registry, and each tenant's data apart from the others'.
///
/// Units that [`begin`](Self::begin) and [`control`](Self::control) open may write; those that
/// [`read`](Self::read) and [`read_control`](Self::read_control) open see one snapshot and refuse to write.
///
/// # Behavior
/// 1. A unit sees its own plane and nothing else.
/// 2. Dropping a unit, or a call on it, at any point leaves nothing behind: no change, no open transaction, no
///    tenant for the next one to inherit (S28).
/// 3. Units on one plane that write take turns or fail retryably; they never deadlock for good.
/// 4. When no connection comes free in time, opening fails with
///    [`Overloaded`](crate::ErrorKind::Overloaded).
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Opens a unit of work on the control plane.
    async fn control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>>;

    /// Opens a read-only unit on the control plane.
    async fn read_control(&self, context: &ControlContext) -> Result<Box<dyn ControlTransaction>>;

    /// Opens a unit of work inside the context's tenant.
    async fn begin(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>>;

    /// Opens a read-only unit inside the context's tenant.
    async fn read(&self, context: &TenantContext) -> Result<Box<dyn TenantTransaction>>;

    /// Brings the control plane and every tenant to the newest schema:
    /// [`Fleet::migrate_all`] with its defaults, to the end.
    ///
    /// 1. Doing it again changes nothing.
    /// 2. One tenant's failure does not keep the others from it, and is reported at the end:
    ///    [`Unavailable`](crate::ErrorKind::Unavailable) `tenants_not_migrated`.
    /// 3. Until it is migrated, a tenant is refused: [`Unavailable`](crate::ErrorKind::Unavailable)
    ///    `tenant_upgrading`.
    async fn migrate(&self) -> Result<()>;

    /// The migrations of the tenants' storage, one by one: to other versions, with progress, and where each is.
    fn fleet(&self) -> &dyn Fleet;

    /// Makes the tenant's storage, with the newest schema.
    ///
    /// 1. Doing it again, also after a crash in its midst, completes it and changes nothing that is there.
    /// 2. An [`Isolation`] that is not among [`isolations`](Self::isolations) is refused.
    async fn provision(&self, tenant: &Tenant) -> Result<()>;

    /// Removes the tenant's storage and all that is in it.
    ///
    /// 1. Removing what is not there succeeds.
    async fn deprovision(&self, tenant: &Tenant) -> Result<()>;

    /// Raises the fence around a tenant that is about to be suspended or canceled: what is written inside it does not commit
    /// any more. Called by [`change_status`], whose unit holds the tenant's row in the registry meanwhile. A store whose
    /// commits look at the registry itself has nothing to do.
    ///
    /// 1. Closing a tenant again succeeds, and so does closing one that has no storage.
    /// 2. Commits that are under way are waited for.
    async fn close(&self, tenant: &Tenant) -> Result<()>;

    /// Lowers the fence around a tenant, if the registry calls it active by then. Waits for a unit that holds the tenant's
    /// row in the registry.
    ///
    /// 1. A tenant that the registry calls closed stays closed.
    /// 2. Reopening a tenant that is not closed succeeds.
    async fn reopen(&self, tenant: &Tenant) -> Result<()>;

    /// Fails when the store can not be used now.
    async fn ping(&self) -> Result<()>;

    /// The ways of keeping tenants apart that this store has, the default one first. Never empty.
    fn isolations(&self) -> &[Isolation];

    /// Tells what commits have changed.
    fn signals(&self) -> &Signals;

    /// The time and randomness of this store.
    fn environment(&self) -> &Environment;

    /// A random secret that an embedded store keeps beside its data, made at the first call for this `name`.
    ///
    /// 1. `None` when the store is not embedded: several processes may share it, and must be given their secrets.
    /// 2. The same at every call, also after a restart.
    fn local_secret(&self, name: &str) -> Result<Option<SecretString>>;
}

/// A transaction on one plane. Nothing happens until [`commit`](Self::commit); dropping it takes everything back.
#[async_trait]
pub trait UnitOfWork: Send {
    /// The plane it is on.
    fn plane(&self) -> Plane;

    /// Who works, and in the course of which request.
    fn origin(&self) -> &Origin;

    /// The time and randomness of the store.
    fn environment(&self) -> &Environment;

    repositories!(UnitOfWork);

    /// Makes everything done in this unit last.
    ///
    /// 1. After `Ok` it survives a crash of this process.
    /// 2. After an error it is unknown whether it happened, unless the error is a
    ///    [`Conflict`](crate::ErrorKind::Conflict), [`Forbidden`](crate::ErrorKind::Forbidden) or retryable: then it
    ///    did not. When the answer was lost the error is [`Unknown`](crate::ErrorKind::Unknown) `commit_unknown`, which
    ///    is not retryable (S32).
    /// 3. Inside a tenant that was suspended or canceled in the meantime it is refused, as
    ///    [`set_status`](ports::TenantRepository::set_status) says.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// A unit of work on the control plane.
pub trait ControlTransaction: UnitOfWork {
    repositories!(ControlTransaction);
}

/// A unit of work inside one tenant.
pub trait TenantTransaction: UnitOfWork {
    /// Whom the work belongs to.
    fn context(&self) -> &TenantContext;

    repositories!(TenantTransaction);
}

/// What every unit of work can do besides.
pub trait UnitOfWorkExt: UnitOfWork {
    /// Publishes an event with this unit: it is delivered after the commit, at least once, and only then.
    fn publish<E: Event>(&mut self, event: E) -> impl Future<Output = Result<EventId>> + Send {
        async move {
            let envelope = Envelope::seal(&event, self.plane(), self.origin(), self.environment())?;
            self.outbox().append(&envelope).await?;
            Ok(envelope.event_id)
        }
    }

    /// Records an action in the audit log with this unit: it is kept exactly when the unit commits.
    fn record(&mut self, action: Action) -> impl Future<Output = Result<()>> + Send {
        async move {
            let record = action.record(self.origin(), self.environment());
            self.audit().append(&record).await
        }
    }
}

impl<T: UnitOfWork + ?Sized> UnitOfWorkExt for T {}
