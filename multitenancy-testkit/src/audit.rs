//! The clauses of [`AuditLog`](multitenancy_core::audit::AuditLog), each on both planes.

use std::sync::Arc;

use multitenancy_core::{
    AuditId, Context, Environment, Store,
    actor::Actor,
    audit::AuditRecord,
    event::Aggregate,
    page::{Page, PageRequest},
};

use crate::{
    fixtures::{after, instant, moment, odd_object},
    planes,
};

/// A record comes back as it was stored.
pub async fn append_keeps_every_field(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let known = known_record();
        let plain = AuditRecord {
            actor: Actor::Anonymous,
            details: serde_json::Map::new(),
            request_id: None,
            ..known_record()
        };
        for record in [known, plain] {
            append(&store, &plane, std::slice::from_ref(&record)).await;
            let listed = list(&store, &plane, &PageRequest::default()).await.items;
            assert!(listed.contains(&record), "{record:?}");
        }
    }
}

/// `append` 1: a record is kept exactly when its unit commits.
pub async fn append_1_is_kept_by_the_commit(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let mut unit = plane.begin(&store).await.unwrap();
        unit.audit().append(&known_record()).await.unwrap();
        drop(unit);
        assert_eq!(list(&store, &plane, &PageRequest::default()).await.items, []);
        let kept = known_record();
        append(&store, &plane, std::slice::from_ref(&kept)).await;
        assert_eq!(list(&store, &plane, &PageRequest::default()).await.items, [kept]);
    }
}

/// `list` gives all records, oldest first, page by page.
pub async fn list_gives_all_by_id_page_by_page(store: Arc<dyn Store>) {
    for plane in planes(&store).await {
        let mut records: Vec<_> = (0..5).map(|_| known_record()).collect();
        records.sort_by_key(|record| record.id);
        append(&store, &plane, &records).await;
        assert_eq!(all(&store, &plane, 2).await, records);
    }
}

/// A record of which everything is known that can be.
pub(crate) fn known_record() -> AuditRecord {
    AuditRecord {
        id: AuditId::generate(&Environment::system()),
        at: instant() + moment(),
        actor: Actor::System { reason: "test's \"reason\"".into() },
        action: "project.archived".into(),
        resource: Aggregate::new("project", "Ω 1"),
        details: odd_object(),
        request_id: Some(format!("request-{}", after(1).timestamp())),
    }
}

async fn append(store: &Arc<dyn Store>, plane: &Context, records: &[AuditRecord]) {
    let mut unit = plane.begin(store).await.unwrap();
    for record in records {
        unit.audit().append(record).await.unwrap();
    }
    unit.commit().await.unwrap();
}

/// All records of a plane, read in pages of this size.
pub(crate) async fn all(store: &Arc<dyn Store>, plane: &Context, size: u32) -> Vec<AuditRecord> {
    let mut page = PageRequest::first(size);
    let mut listed = Vec::new();
    loop {
        let found = list(store, plane, &page).await;
        assert!(found.items.len() <= size as usize);
        listed.extend(found.items);
        match found.next {
            Some(key) => page = page.after(key),
            None => return listed,
        }
    }
}

async fn list(
    store: &Arc<dyn Store>,
    plane: &Context,
    page: &PageRequest<AuditId>,
) -> Page<AuditRecord, AuditId> {
    plane.read(store).await.unwrap().audit().list(page).await.unwrap()
}
