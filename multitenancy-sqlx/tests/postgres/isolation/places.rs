//! Schemas and databases: their names, their marks, their number (S24, S25).

use std::time::Duration;

use multitenancy_core::{ErrorKind, Store, TenantContext};
use multitenancy_sqlx::PgStore;
use tokio::task::JoinSet;

use super::*;

/// S24: the name is the id's and fits; the search path ends with the transaction, and has the built-in names first.
#[tokio::test]
async fn s24_unit_uses_its_own_schema_and_no_other() {
    let pair = Pair::new(Isolation::Schema).await;
    let store =
        pair.stage.builder().max_connections(1).max_connections_per_tenant(1).connect().await.unwrap();
    for tenant in [&pair.a, &pair.b, &pair.a] {
        let mut tx = store.begin(&context(tenant)).await.unwrap();
        let path: Vec<String> = value(tx.conn(), "SELECT current_schemas(true)::text[]").await.unwrap();
        let name = format!("tenant_{}", tenant.id.as_uuid().simple());
        assert_eq!(path, ["pg_catalog".to_owned(), name.clone()]);
        assert!(
            name.len() <= 63
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        );
        let pid: i32 = value(tx.conn(), "SELECT pg_backend_pid()").await.unwrap();
        tx.commit().await.unwrap();
        // The same connection, before the next unit says its own: a unit on the plane that says nothing of a path.
        let mut tx = store.begin(&context(tenant)).await.unwrap();
        assert_eq!(value::<i32>(tx.conn(), "SELECT pg_backend_pid()").await.unwrap(), pid);
        run(tx.conn(), "COMMIT").await.unwrap();
        let left: (String, String) =
            sqlx::query_as("SELECT current_setting('search_path'), current_setting('app.tenant_id')")
                .fetch_one(tx.conn())
                .await
                .unwrap();
        assert_eq!((left.0.contains("tenant_"), left.1.as_str()), (false, ""), "{left:?}");
    }
}

/// Swaps the tenants' databases.
async fn swap(pair: &Pair) {
    let name = |tenant: &Tenant| format!("tenant_{}", tenant.id.as_uuid().simple());
    let (a, b) = (name(&pair.a), name(&pair.b));
    let mut server = pair.stage.connection().await;
    for name in [&a, &b] {
        let end = format!(
            "ALTER DATABASE {name} ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        for statement in end.split("; ") {
            run(&mut server, statement).await.unwrap();
        }
    }
    for (from, to) in [(&a, &format!("{a}_x")), (&b, &a), (&format!("{a}_x"), &b)] {
        run(&mut server, format!("ALTER DATABASE {from} RENAME TO {to}")).await.unwrap();
    }
    for name in [&a, &b] {
        run(&mut server, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.unwrap();
    }
}

/// S25: a tenant is not served from another tenant's database, and its storage is not created there.
#[tokio::test]
async fn s25_swapped_databases_are_refused() {
    let pair = Pair::new(Isolation::Database).await;
    let store = &pair.stage.store;
    swap(&pair).await;
    for tenant in [&pair.a, &pair.b] {
        let refused = store.begin(&context(tenant)).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), "tenant_storage_missing", "{refused:?}");
        let fresh = pair.stage.start().await.unwrap();
        let refused = fresh.begin(&context(tenant)).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), "tenant_storage_missing", "{refused:?}");
        let refused = fresh.provision(tenant).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused:?}");
        assert!(refused.to_string().contains("is that of"), "{refused}");
    }
    swap(&pair).await;
    for tenant in [&pair.a, &pair.b] {
        store.begin(&context(tenant)).await.expect("the control: its own database");
    }
}

const TENANTS: usize = 16;

/// How many sockets this process has: one is gone before its room is given on, while the server takes a moment more to
/// end what was behind it.
fn sockets() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// A burst of all tenants; returns the most connections open at once.
async fn burst(store: &PgStore, contexts: &[TenantContext], before: usize) -> usize {
    let mut running = JoinSet::new();
    for context in contexts.iter().cycle().take(TENANTS * 12) {
        let (store, context) = (store.clone(), context.clone());
        running.spawn(async move {
            let mut tx = store.begin(&context).await?;
            run(tx.conn(), "SELECT pg_sleep(0.01)").await.unwrap();
            let rows: i64 = value(tx.conn(), "SELECT count(*) FROM projects").await.unwrap();
            assert_eq!(rows, 1);
            tx.commit().await
        });
    }
    let mut most = 0;
    while let Some(done) = running.join_next().await {
        done.unwrap().unwrap();
        most = most.max(sockets() - before);
    }
    most
}

/// S25: with any number of tenant databases, the connections to them stay within the budget.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn s25_the_number_of_connections_is_bounded() {
    let stage = Stage::new().await;
    let mut contexts = Vec::new();
    for index in 0..TENANTS {
        let tenant = stage.tenant(&format!("tenant-{index}"), Isolation::Database).await;
        seed(&stage, &tenant).await;
        contexts.push(context(&tenant));
    }
    for (bound, crowded) in [(4, false), (TENANTS, true)] {
        let before = sockets();
        let builder = stage.builder().max_connections(bound).acquire_timeout(Duration::from_secs(60));
        let store = builder.connect().await.unwrap();
        let most = burst(&store, &contexts, before).await;
        // One more listens.
        assert!(most <= bound + 1, "{most} connections were open, {bound} were allowed");
        assert_eq!(most > 5, crowded, "the control: a wider budget is seen");
    }
}
