use std::{ops::Bound, sync::Arc};

use async_trait::async_trait;

use super::unit::{HasPlane, MemoryUnit};
use crate::{
    audit::{AuditLog, AuditRecord},
    error::Result,
    id::AuditId,
    page::{Page, PageRequest},
};

#[async_trait]
impl<D: HasPlane> AuditLog for MemoryUnit<D> {
    async fn append(&mut self, record: &AuditRecord) -> Result<()> {
        self.writable()?.plane_mut().audit.insert(record.id, Arc::new(record.clone()));
        Ok(())
    }

    async fn list(&mut self, page: &PageRequest<AuditId>) -> Result<Page<AuditRecord, AuditId>> {
        let audit = &self.working.plane().audit;
        let from = page.key().map_or(Bound::Unbounded, |key| Bound::Excluded(*key));
        let found = audit.range((from, Bound::Unbounded)).map(|(_, record)| AuditRecord::clone(record));
        let items = found.take(page.size() as usize + 1).collect();
        Ok(Page::from_overfull(items, page, |record| record.id))
    }
}
