use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use quick_cache::sync::Cache;

use crate::{
    environment::Timestamp,
    error::Result,
    id::TenantId,
    store::Store,
    tenant::{ControlContext, Tenant, TenantKey, TenantStatus},
};

/// Finds tenants by any of their names, from memory where it can.
///
/// Only active tenants are remembered, so a suspension has nothing to outrun but the removal of one entry, which
/// happens before the commit that suspends returns.
///
/// Keys are typed (S105): a slug, a domain and an id of one spelling are three entries.
#[derive(Clone)]
pub(crate) struct TenantDirectory {
    store: Arc<dyn Store>,
    cache: Arc<TenantCache>,
}

struct TenantCache {
    tenants: Cache<TenantId, Known>,
    ttl: TimeDelta,
    /// Slugs and domains. An entry is a hint: what it leads to is checked to bear that name.
    ids: Cache<TenantKey, TenantId>,
    /// Counts changes, so that what was read before one is not written back after it.
    changes: AtomicU64,
    writing: Mutex<()>,
}

#[derive(Clone)]
struct Known {
    tenant: Arc<Tenant>,
    read_at: Timestamp,
}

impl TenantDirectory {
    pub fn new(store: Arc<dyn Store>, ttl: Duration, capacity: usize) -> Self {
        let cache = Arc::new(TenantCache::new(ttl, capacity));
        let listening = Arc::downgrade(&cache);
        store.signals().on_tenant_changed(move |changed| {
            if let Some(cache) = listening.upgrade() {
                cache.forget(changed);
            }
        });
        Self { store, cache }
    }

    /// The tenant of any status that `key` names, as of `now`.
    pub async fn find(&self, key: &TenantKey, now: Timestamp) -> Result<Option<Arc<Tenant>>> {
        if let Some(tenant) = self.cache.find(key, now) {
            return Ok(Some(tenant));
        }
        let before = self.cache.changes.load(Ordering::Acquire);
        let mut unit = self.store.read_control(&ControlContext::system("tenant resolution")).await?;
        let found = unit.tenants().find(key).await?.map(Arc::new);
        if let Some(tenant) = &found
            && tenant.status == TenantStatus::Active
        {
            self.cache.remember(key, tenant, now, before);
        }
        Ok(found)
    }
}

impl TenantCache {
    fn new(ttl: Duration, capacity: usize) -> Self {
        Self {
            tenants: Cache::new(capacity),
            ttl: TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX),
            ids: Cache::new(2 * capacity),
            changes: AtomicU64::new(0),
            writing: Mutex::new(()),
        }
    }

    fn find(&self, key: &TenantKey, now: Timestamp) -> Option<Arc<Tenant>> {
        let id = match key {
            TenantKey::Id(id) => *id,
            name => self.ids.get(name)?,
        };
        let known = self.tenants.get(&id)?;
        let current = (TimeDelta::zero()..self.ttl).contains(&(now - known.read_at));
        (current && key.names(&known.tenant)).then_some(known.tenant)
    }

    fn remember(&self, key: &TenantKey, tenant: &Arc<Tenant>, now: Timestamp, before: u64) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.changes.load(Ordering::Acquire) != before {
            return;
        }
        self.tenants.insert(tenant.id, Known { tenant: tenant.clone(), read_at: now });
        if !matches!(key, TenantKey::Id(_)) {
            self.ids.insert(key.clone(), tenant.id);
        }
    }

    /// Forgets one tenant, or all.
    fn forget(&self, tenant: Option<TenantId>) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::AcqRel);
        match tenant {
            Some(id) => drop(self.tenants.remove(&id)),
            None => self.tenants.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        environment::Timestamp,
        id::UserId,
        tenant::{Domain, Isolation, Plan, TenantSettings},
    };

    /// What a key may be written as: the pieces of slugs, domains and ids, and what separates such pieces elsewhere.
    fn text() -> impl Strategy<Value = String> {
        const PIECES: &[&str] = &[
            "acme",
            "ac",
            "me",
            "a",
            "-",
            "-",
            ".",
            ".",
            ".example",
            ".com",
            "_",
            ":",
            "/",
            "|",
            ",",
            "\0",
            " ",
            "é",
            "ß",
            "日本",
            "\u{202e}",
            "xn--",
            "A",
            "0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11",
        ];
        prop::collection::vec(prop::sample::select(PIECES), 1..5).prop_map(|pieces| pieces.concat())
    }

    /// The keys that a text can be read as: an id or a slug, and a domain.
    fn keys(text: &str) -> impl Iterator<Item = TenantKey> {
        [text.parse().ok(), text.parse().ok().map(TenantKey::Domain)].into_iter().flatten()
    }

    /// The kind and the one spelling of a key.
    fn spelt(key: &TenantKey) -> (u8, String) {
        match key {
            TenantKey::Id(id) => (0, id.to_string()),
            TenantKey::Slug(slug) => (1, slug.to_string()),
            TenantKey::Domain(domain) => (2, domain.to_string()),
        }
    }

    fn tenant(key: &TenantKey, index: usize) -> Arc<Tenant> {
        let slug = format!("tenant-{index}").parse().unwrap();
        let mut tenant = Tenant {
            id: TenantId::from_uuid(Uuid::from_u128(index as u128)),
            name: "Acme".parse().unwrap(),
            slug,
            domain: None::<Domain>,
            plan: Plan::default(),
            status: TenantStatus::Active,
            isolation: Isolation::Database,
            owner_id: UserId::from_uuid(Uuid::nil()),
            settings: TenantSettings::default(),
            created_at: Timestamp::MIN_UTC,
            updated_at: Timestamp::MIN_UTC,
        };
        match key.clone() {
            TenantKey::Id(id) => tenant.id = id,
            TenantKey::Slug(slug) => tenant.slug = slug,
            TenantKey::Domain(domain) => tenant.domain = Some(domain),
        }
        Arc::new(tenant)
    }

    proptest! {
        /// S105: keys of another kind or another spelling are other entries, whatever stands in them: each finds its own
        /// tenant, and one that is forgotten takes no other along.
        #[test]
        fn s105_distinct_keys_find_distinct_tenants(
            texts in prop::collection::vec(text(), 60..90),
            forgotten in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let cache = TenantCache::new(Duration::from_secs(60), 10_000);
            let mut expected = HashMap::new();
            for (index, key) in texts.iter().flat_map(|text| keys(text)).enumerate() {
                expected.entry(spelt(&key)).or_insert_with(|| {
                    let tenant = tenant(&key, index);
                    cache.remember(&key, &tenant, Timestamp::UNIX_EPOCH, 0);
                    (key, tenant)
                });
            }
            for (key, tenant) in expected.values() {
                prop_assert_eq!(cache.find(key, Timestamp::UNIX_EPOCH).map(|found| found.id), Some(tenant.id), "{:?}", key);
            }
            let spellings: Vec<_> = expected.keys().cloned().collect();
            for index in forgotten.iter().filter(|_| !spellings.is_empty()) {
                if let Some((key, tenant)) = expected.remove(index.get(&spellings)) {
                    cache.forget(Some(tenant.id));
                    prop_assert!(cache.find(&key, Timestamp::UNIX_EPOCH).is_none());
                }
            }
            for (key, tenant) in expected.values() {
                prop_assert_eq!(cache.find(key, Timestamp::UNIX_EPOCH).map(|found| found.id), Some(tenant.id), "{:?}", key);
            }
        }
    }
}
