use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use multitenancy_core::{Error, Plane, memory::MemoryStore, tenancy::TenancyBuilder};
use multitenancy_testkit::{
    ProbedStore,
    probe::{Call, Moment},
};

use super::Api;

/// What a database says when it is least careful.
pub const LEAK: &str = "UNIQUE constraint failed: secret.sql at /var/lib/db \u{1b}[31m\r\nforged line";

/// What an application does with its store, and a way to break it down.
#[derive(Clone, Default)]
pub struct Probe {
    broken: Arc<AtomicBool>,
    writes: Arc<Mutex<Vec<Plane>>>,
}

impl Probe {
    /// An application over a store that is probed.
    pub fn api(configure: impl FnOnce(TenancyBuilder) -> TenancyBuilder) -> (Api, Self) {
        let probe = Self::default();
        let told = probe.clone();
        let store = |environment| {
            let told = move |call: Call| {
                let outcome = told.told(call);
                async move { outcome }
            };
            Arc::new(ProbedStore::new(Arc::new(MemoryStore::new(environment)), told)) as _
        };
        (Api::over(store, configure), probe)
    }

    /// From now on every call fails.
    pub fn break_down(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// The planes where something was to be written since this was asked last.
    pub fn writes(&self) -> Vec<Plane> {
        std::mem::take(&mut self.writes.lock().unwrap())
    }

    fn told(&self, call: Call) -> Result<(), Error> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::internal(LEAK).with_context("sql", LEAK));
        }
        // Whatever writes begins a unit of work that can.
        if call.moment == Moment::Before && ["begin", "control", "provision"].contains(&call.name) {
            self.writes.lock().unwrap().extend(call.plane);
        }
        Ok(())
    }
}
