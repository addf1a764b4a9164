//! What no guard holds against: SQL that an attacker writes. SECURITY.md says so; where this changes, it is to be changed.

use multitenancy_core::Isolation;
use multitenancy_testkit::fixtures::context;

use super::Pair;
use crate::stage::value;

/// E6: the tenant is a setting of the transaction, and whoever can write a statement can write another one into it. Only a
/// database of their own keeps such a statement out.
#[tokio::test]
async fn e6_statement_can_set_another_tenant() {
    for (isolation, seen) in [(Isolation::Shared, 1), (Isolation::Database, 0)] {
        let pair = Pair::new(isolation).await;
        let mut tx = pair.stage.store.read(&context(&pair.a)).await.unwrap();
        let injected = format!(
            "WITH s AS MATERIALIZED (SELECT set_config('app.tenant_id', '{}', true)) SELECT count(*) FROM s, projects",
            pair.b.id.as_uuid()
        );
        assert_eq!(value::<i64>(tx.conn(), injected).await.unwrap(), seen, "{isolation}");
    }
}
