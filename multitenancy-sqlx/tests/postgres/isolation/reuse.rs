//! One connection, two alternating tenants (S13, S22).

use multitenancy_sqlx::PgStore;

use super::*;

/// Reads as both tenants in turn over one connection, and returns how often one saw rows of the other.
async fn alternate(pair: &Pair, store: &PgStore, table: &'static str, rounds: usize) -> usize {
    let (a, b) = (context(&pair.a), context(&pair.b));
    let mut leaks = 0;
    for round in 0..rounds {
        let context = if round % 2 == 0 { &a } else { &b };
        let mut tx = store.read(context).await.unwrap();
        let sql = format!("SELECT array_agg(tenant_id) FROM {table}");
        let seen: Vec<Uuid> = value(tx.conn(), sql).await.unwrap();
        leaks += usize::from(seen != [context.tenant().id.as_uuid()]);
    }
    leaks
}

async fn narrow(pair: &Pair) -> PgStore {
    let builder = pair.stage.builder().max_connections(1).max_connections_per_tenant(1);
    builder.connect().await.unwrap()
}

#[tokio::test]
async fn s13_alternating_tenants_see_their_own_rows() {
    // Separate databases mean a new connection each time.
    for (isolation, rounds) in
        [(Isolation::Shared, 10_000), (Isolation::Schema, 10_000), (Isolation::Database, 200)]
    {
        let pair = Pair::new(isolation).await;
        let store = narrow(&pair).await;
        assert_eq!(alternate(&pair, &store, "projects", rounds).await, 0, "{isolation:?}");
    }
}

/// The control of S13: a setting of the session is there for the next borrower, one of the transaction is not.
#[tokio::test]
async fn s13_a_setting_of_the_session_would_leak() {
    let pair = Pair::new(Isolation::Shared).await;
    let mut connection = pair.owner(&pair.a).await;
    let a = pair.a.id.as_uuid();
    for (scope, seen) in [("SET LOCAL", 0), (concat!("S", "ET"), 1)] {
        run(&mut connection, format!("BEGIN; {scope} app.tenant_id = '{a}'; COMMIT")).await.unwrap();
        let next = "BEGIN; SET LOCAL ROLE multitenancy_app";
        run(&mut connection, next).await.unwrap();
        let rows: i64 = value(&mut connection, "SELECT count(*) FROM projects").await.unwrap();
        run(&mut connection, "ROLLBACK").await.unwrap();
        assert_eq!(rows, seen, "{scope}");
    }
}

/// S22: one prepared statement, planned once for all, gives each tenant its own rows.
#[tokio::test]
async fn s22_generic_plan_depends_on_no_tenant() {
    let pair = Pair::new(Isolation::Shared).await;
    let force = format!("ALTER DATABASE {} SET plan_cache_mode = force_generic_plan", pair.stage.database);
    pair.stage.sql(force).await;
    let store = narrow(&pair).await;
    assert_eq!(alternate(&pair, &store, "projects", 10_000).await, 0);
    let mut tx = store.read(&context(&pair.a)).await.unwrap();
    let planned = "SELECT max(generic_plans) FROM pg_prepared_statements WHERE statement LIKE '%array_agg%'";
    assert!(value::<i64>(tx.conn(), planned).await.unwrap() > 1_000, "the plan was a generic one");
    drop(tx);

    // The control: a policy by a function that claims to be constant, whose value the plan remembers.
    let leaky = "CREATE FUNCTION public.constant() RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS \
         'BEGIN RETURN nullif(current_setting(''app.tenant_id'', true), '''')::uuid; END'; \
         CREATE TABLE tenants.leaky AS SELECT tenant_id FROM tenants.projects; \
         ALTER TABLE tenants.leaky ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY p ON tenants.leaky USING (tenant_id = public.constant()); \
         GRANT SELECT ON tenants.leaky TO multitenancy_app";
    pair.stage.sql(leaky).await;
    assert_eq!(alternate(&pair, &store, "leaky", 10).await, 5, "B saw A's row each time");
    let refused = pair.stage.start().await.expect_err("the audit finds the policy").to_string();
    assert!(refused.contains("s11_policy_widens: tenants.leaky"), "{refused}");
}
