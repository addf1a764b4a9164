//! The reference store and the mailer that remembers pass the suites that every adapter runs.

use std::sync::Arc;

use async_trait::async_trait;
use multitenancy_core::{
    Store,
    bus::{EventBus, InProcessBus},
    memory::MemoryStore,
};
use multitenancy_testkit::{BusHarness, Harness, MemoryMailer, bus_suite, conformance_suite, mailer_suite};

struct InMemory;

#[async_trait]
impl Harness for InMemory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::default())
    }
}

#[async_trait]
impl BusHarness for InMemory {
    async fn open(&self) -> Arc<dyn EventBus> {
        Arc::new(InProcessBus::default())
    }
}

conformance_suite!(InMemory);
bus_suite!(InMemory);
mailer_suite!(MemoryMailer::default());
