use async_trait::async_trait;

use super::AuditRecord;
use crate::{
    error::Result,
    id::AuditId,
    page::{Page, PageRequest},
};

/// The audit log of one plane. It has no method that changes or removes a record.
#[async_trait]
pub trait AuditLog: Send {
    /// Appends a record.
    ///
    /// 1. It is kept exactly when the unit commits.
    /// 2. A store with SQL of its own refuses to change or remove it, also to the application's statements.
    async fn append(&mut self, record: &AuditRecord) -> Result<()>;

    /// The records of the plane, in the order of their ids, oldest first.
    async fn list(&mut self, page: &PageRequest<AuditId>) -> Result<Page<AuditRecord, AuditId>>;
}
