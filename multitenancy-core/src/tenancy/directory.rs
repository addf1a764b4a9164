use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;

use crate::{
    error::Result,
    id::TenantId,
    store::Store,
    tenant::{ControlContext, Tenant, TenantKey, TenantStatus},
};

/// Finds tenants by any of their names, from memory where it can.
///
/// Only active tenants are remembered, so a suspension has nothing to outrun but the removal of one entry, which
/// happens before the commit that suspends returns.
#[derive(Clone)]
pub(crate) struct TenantDirectory {
    store: Arc<dyn Store>,
    cache: Arc<TenantCache>,
}

struct TenantCache {
    tenants: Cache<TenantId, Arc<Tenant>>,
    /// Slugs and domains. An entry is a hint: what it leads to is checked to bear that name.
    ids: Cache<TenantKey, TenantId>,
    /// Counts changes, so that what was read before one is not written back after it.
    changes: AtomicU64,
    writing: Mutex<()>,
}

impl TenantDirectory {
    pub fn new(store: Arc<dyn Store>, ttl: Duration, capacity: u64) -> Self {
        let cache = Arc::new(TenantCache {
            tenants: Cache::builder().max_capacity(capacity).time_to_live(ttl).build(),
            ids: Cache::builder().max_capacity(2 * capacity).time_to_live(ttl).build(),
            changes: AtomicU64::new(0),
            writing: Mutex::new(()),
        });
        let listening = Arc::downgrade(&cache);
        store.signals().on_tenant_changed(move |id| {
            if let Some(cache) = listening.upgrade() {
                cache.forget(id);
            }
        });
        Self { store, cache }
    }

    /// The tenant of any status that `key` names.
    pub async fn find(&self, key: &TenantKey) -> Result<Option<Arc<Tenant>>> {
        if let Some(tenant) = self.cache.find(key) {
            return Ok(Some(tenant));
        }
        let before = self.cache.changes.load(Ordering::Acquire);
        let mut unit = self.store.read_control(&ControlContext::system("tenant resolution")).await?;
        let found = unit.tenants().find(key).await?.map(Arc::new);
        if let Some(tenant) = &found
            && tenant.status == TenantStatus::Active
        {
            self.cache.remember(key, tenant, before);
        }
        Ok(found)
    }
}

impl TenantCache {
    fn find(&self, key: &TenantKey) -> Option<Arc<Tenant>> {
        let id = match key {
            TenantKey::Id(id) => *id,
            name => self.ids.get(name)?,
        };
        self.tenants.get(&id).filter(|tenant| key.names(tenant))
    }

    fn remember(&self, key: &TenantKey, tenant: &Arc<Tenant>, before: u64) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.changes.load(Ordering::Acquire) != before {
            return;
        }
        self.tenants.insert(tenant.id, tenant.clone());
        if !matches!(key, TenantKey::Id(_)) {
            self.ids.insert(key.clone(), tenant.id);
        }
    }

    fn forget(&self, id: TenantId) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.tenants.invalidate(&id);
    }
}
