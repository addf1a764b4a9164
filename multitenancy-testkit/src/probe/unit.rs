use std::sync::Arc;

use async_trait::async_trait;
use multitenancy_core::{
    ControlTransaction, Environment, Plane, Result, TenantContext, TenantTransaction, UnitOfWork,
    actor::Origin, repositories,
};

use super::{Probe, around};

/// A unit of work with a probe in front of it.
pub(super) struct ProbedUnit<U: ?Sized> {
    pub inner: Box<U>,
    pub probe: Arc<dyn Probe>,
}

impl<U: ?Sized> ProbedUnit<U> {
    pub fn new(inner: Box<U>, probe: &Arc<dyn Probe>) -> Self {
        Self { inner, probe: probe.clone() }
    }
}

#[async_trait]
impl<U: UnitOfWork + ?Sized> UnitOfWork for ProbedUnit<U> {
    fn plane(&self) -> Plane {
        self.inner.plane()
    }

    fn origin(&self) -> &Origin {
        self.inner.origin()
    }

    fn environment(&self) -> &Environment {
        self.inner.environment()
    }

    repositories!(UnitOfWork in self);

    async fn commit(self: Box<Self>) -> Result<()> {
        let Self { inner, probe } = *self;
        let plane = inner.plane();
        around(&*probe, "commit", Some(plane), inner.commit()).await
    }
}

impl<U: ControlTransaction + ?Sized> ControlTransaction for ProbedUnit<U> {
    repositories!(ControlTransaction in self);
}

impl<U: TenantTransaction + ?Sized> TenantTransaction for ProbedUnit<U> {
    fn context(&self) -> &TenantContext {
        self.inner.context()
    }

    repositories!(TenantTransaction in self);
}
