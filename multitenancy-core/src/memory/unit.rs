use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use super::{Control, plane::PlaneData};
use crate::{
    actor::Origin,
    environment::Environment,
    error::{Error, Result},
    id::{Plane, TenantId},
    repositories,
    store::{ControlTransaction, Signals, TenantTransaction, UnitOfWork},
    tenant::{TenantContext, tenant_inactive},
};

/// One plane's committed data, and the turn of those who write it.
pub(super) struct Shared<D> {
    data: Arc<Mutex<D>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl<D> Shared<D> {
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    fn data(&self) -> MutexGuard<'_, D> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D> Clone for Shared<D> {
    fn clone(&self) -> Self {
        Self { data: self.data.clone(), turn: self.turn.clone() }
    }
}

impl<D: Default> Default for Shared<D> {
    fn default() -> Self {
        Self { data: Arc::default(), turn: Arc::default() }
    }
}

/// A unit of work: a copy of the plane, put back on commit.
pub(super) struct MemoryUnit<D> {
    shared: Shared<D>,
    pub(super) working: D,
    turn: Option<OwnedMutexGuard<()>>,
    plane: Plane,
    origin: Origin,
    context: Option<TenantContext>,
    /// Where the tenant must not be closed when this commits.
    registry: Option<Shared<Control>>,
    environment: Environment,
    signals: Arc<Signals>,
    pub(super) changed_tenants: Vec<TenantId>,
}

impl<D: Clone> MemoryUnit<D> {
    pub fn read(
        shared: &Shared<D>,
        plane: Plane,
        origin: Origin,
        environment: &Environment,
        signals: &Arc<Signals>,
    ) -> Self {
        let working = shared.data().clone();
        Self {
            shared: shared.clone(),
            working,
            turn: None,
            plane,
            origin,
            context: None,
            registry: None,
            environment: environment.clone(),
            signals: signals.clone(),
            changed_tenants: Vec::new(),
        }
    }

    pub fn with_turn(self, turn: OwnedMutexGuard<()>) -> Self {
        Self { turn: Some(turn), ..self }
    }
}

impl<D> MemoryUnit<D> {
    pub(super) fn inside(self, context: TenantContext, control: &Shared<Control>) -> Self {
        let registry = (!context.tenant().status.is_closed()).then(|| control.clone());
        Self { context: Some(context), registry, ..self }
    }

    /// Refuses to write in a unit that only reads.
    pub(super) fn writable(&mut self) -> Result<&mut D> {
        if self.turn.is_none() {
            return Err(Error::internal("a read-only unit of work can not write"));
        }
        Ok(&mut self.working)
    }
}

/// Where a unit's plane is in its data.
pub(super) trait HasPlane: Clone + Send + 'static {
    fn plane(&self) -> &PlaneData;
    fn plane_mut(&mut self) -> &mut PlaneData;
}

impl HasPlane for PlaneData {
    fn plane(&self) -> &PlaneData {
        self
    }

    fn plane_mut(&mut self) -> &mut PlaneData {
        self
    }
}

impl HasPlane for Control {
    fn plane(&self) -> &PlaneData {
        &self.plane
    }

    fn plane_mut(&mut self) -> &mut PlaneData {
        &mut self.plane
    }
}

#[async_trait]
impl<D: HasPlane> UnitOfWork for MemoryUnit<D> {
    fn plane(&self) -> Plane {
        self.plane
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn environment(&self) -> &Environment {
        &self.environment
    }

    repositories!(UnitOfWork in self);

    async fn commit(self: Box<Self>) -> Result<()> {
        if self.turn.is_none() {
            return Ok(());
        }
        let grew = {
            // Held until this is done, so that a suspension comes before or after it.
            let control = self.registry.as_ref().map(Shared::data);
            if let (Some(control), Plane::Tenant(id)) = (&control, self.plane)
                && control.registry.is_closed(id)
            {
                return Err(tenant_inactive(id));
            }
            let mut data = self.shared.data();
            let before = data.plane().last_sequence;
            *data = self.working;
            data.plane().last_sequence > before
        };
        if grew {
            self.signals.outbox_grew(self.plane);
        }
        for id in self.changed_tenants {
            self.signals.tenant_changed(id);
        }
        Ok(())
    }
}

impl ControlTransaction for MemoryUnit<Control> {
    repositories!(ControlTransaction in self);
}

impl TenantTransaction for MemoryUnit<PlaneData> {
    #[expect(clippy::expect_used, reason = "the store gives every unit inside a tenant its context")]
    fn context(&self) -> &TenantContext {
        self.context.as_ref().expect("a unit inside a tenant has a context")
    }

    repositories!(TenantTransaction in self);
}
