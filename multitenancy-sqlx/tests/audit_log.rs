//! The application's own SQL appends to the audit log and reads it; it neither changes nor removes a record (S89).

use multitenancy_core::{Store, UnitOfWorkExt, audit::Action};
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::fixtures::{context, provisioned};

#[tokio::test]
async fn s89_audit_log_is_insert_only() {
    let directory = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::builder(&format!("sqlite:{}", directory.path().display())).connect().await.unwrap();
    store.migrate().await.unwrap();
    let tenant = context(&provisioned(&store, "acme").await);
    let mut tx = Store::begin(&store, &tenant).await.unwrap();
    tx.record(Action::new("test.done", "test", 1)).await.unwrap();
    tx.commit().await.unwrap();
    for change in ["UPDATE multitenancy_audit SET action = 'x'", "DELETE FROM multitenancy_audit"] {
        let mut tx = store.begin(&tenant).await.unwrap();
        let refused = sqlx::query(change).execute(tx.conn()).await.unwrap_err();
        assert!(refused.to_string().contains("audit records are never"), "{change}: {refused}");
    }
    let mut tx = Store::read(&store, &tenant).await.unwrap();
    assert_eq!(tx.audit().list(&Default::default()).await.unwrap().items.len(), 1);
}
