use std::sync::Arc;

use async_trait::async_trait;
use multitenancy_core::{
    ControlTransaction, Environment, Plane, Result, TenantContext, TenantTransaction, UnitOfWork,
    actor::Origin, repositories,
};

use super::{Probe, ProbedStore, around};

/// A unit of work with a probe in front of it.
pub(super) struct ProbedUnit<U: ?Sized> {
    pub inner: Box<U>,
    pub probe: Arc<dyn Probe>,
    /// The first change of a noun, and whether an audit record was appended; `None` when that is not required.
    audit: Option<Audit>,
}

#[derive(Default)]
struct Audit {
    changed: Option<&'static str>,
    recorded: bool,
}

impl<U: ?Sized> ProbedUnit<U> {
    pub fn new(inner: Box<U>, store: &ProbedStore) -> Self {
        let audit = store.audited.then(Audit::default);
        Self { inner, probe: store.probe.clone(), audit }
    }

    /// Notes a call on a repository, by its name.
    pub fn note(&mut self, call: &'static str) {
        let Some(audit) = &mut self.audit else { return };
        let (repository, method) = call.split_once('.').unwrap_or((call, ""));
        let reads = ["find", "list", "password_hash"].iter().any(|name| method.starts_with(name));
        match repository {
            "audit" => audit.recorded |= method == "append",
            // What the relay keeps for itself.
            "outbox" | "consumed" => {}
            _ if !reads => audit.changed = audit.changed.or(Some(call)),
            _ => {}
        }
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
        let Self { inner, probe, audit } = *self;
        if let Some(Audit { changed: Some(call), recorded: false }) = audit {
            panic!("a unit of work that calls {call} commits without an audit record");
        }
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
