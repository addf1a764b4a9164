use std::{future::Future, sync::Arc};

use multitenancy_core::{Context, Store, UnitOfWorkExt, User};

use crate::{TestEvent, fixtures};

/// What a test does on a plane in a unit of its own.
pub trait ContextExt {
    /// Adds a user without a password.
    fn add_user(&self, store: &Arc<dyn Store>, user: &User) -> impl Future<Output = ()> + Send;

    /// Publishes events.
    fn publish(
        &self,
        store: &Arc<dyn Store>,
        events: impl IntoIterator<Item = TestEvent> + Send,
    ) -> impl Future<Output = ()> + Send;
}

impl ContextExt for Context {
    async fn add_user(&self, store: &Arc<dyn Store>, user: &User) {
        let mut unit = self.begin(store).await.unwrap();
        unit.users().insert(user, None).await.unwrap();
        unit.commit().await.unwrap();
    }

    async fn publish(&self, store: &Arc<dyn Store>, events: impl IntoIterator<Item = TestEvent> + Send) {
        let events: Vec<_> = events.into_iter().collect();
        let mut unit = self.begin(store).await.unwrap();
        for event in events {
            unit.publish(event).await.unwrap();
        }
        unit.commit().await.unwrap();
    }
}

/// The control plane, and a new tenant: what every plane keeps is tried on both.
pub async fn planes(store: &Arc<dyn Store>) -> [Context; 2] {
    [fixtures::control(), Context::Tenant(fixtures::active_tenant(&**store, "acme").await)]
}
