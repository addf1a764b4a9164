//! The limit of every guard: SQL written by an attacker. SECURITY.md states it; change both together.

use multitenancy_core::Isolation;
use multitenancy_testkit::fixtures::context;

use super::Pair;
use crate::stage::value;

/// E6: the tenant is a setting of the transaction, and a client that can write SQL can set another tenant. Only
/// separate databases stop such a statement.
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
