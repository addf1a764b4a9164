//! Units of work append to the audit log and read it; they neither change nor remove a record (S89).

use multitenancy_core::{Isolation, Store, UnitOfWorkExt, audit::Action};
use multitenancy_testkit::fixtures::context;

use crate::stage::{Stage, run};

#[tokio::test]
async fn s89_audit_log_is_insert_only() {
    let stage = Stage::new().await;
    for isolation in [Isolation::Shared, Isolation::Schema, Isolation::Database] {
        let slug = format!("acme-{isolation}");
        let tenant = context(&stage.tenant(&slug, isolation).await);
        let mut tx = Store::begin(&stage.store, &tenant).await.unwrap();
        tx.record(Action::new("test.done", "test", 1)).await.unwrap();
        tx.commit().await.unwrap();
        for change in ["UPDATE multitenancy_audit SET action = 'x'", "DELETE FROM multitenancy_audit"] {
            let mut tx = stage.store.begin(&tenant).await.unwrap();
            let refused = run(tx.conn(), change).await.unwrap_err();
            let code = refused.as_database_error().and_then(sqlx::error::DatabaseError::code);
            assert_eq!(code.as_deref(), Some("42501"), "{isolation}: {change}: {refused}");
        }
        let mut tx = Store::read(&stage.store, &tenant).await.unwrap();
        assert_eq!(tx.audit().list(&Default::default()).await.unwrap().items.len(), 1);
    }
}
