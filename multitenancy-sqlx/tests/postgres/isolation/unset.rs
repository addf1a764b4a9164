//! S12: without a tenant no row is read and no row is written.

use super::*;

/// The result of a statement of the application's role when the setting is in `state`.
async fn attempt(connection: &mut PgConnection, state: &str, sql: String) -> Result<i64, String> {
    run(connection, format!("BEGIN; SET LOCAL ROLE multitenancy_app; {state}")).await.unwrap();
    let done = if sql.starts_with("SELECT") {
        value(connection, sql).await
    } else {
        run(connection, sql).await.map(|rows| i64::try_from(rows).unwrap())
    };
    run(connection, "ROLLBACK").await.unwrap();
    done.map_err(|error| code(&error))
}

#[tokio::test]
async fn s12_without_a_tenant_no_table_is_read_or_written() {
    let states = [
        ("unset", "SELECT"),
        ("empty", "SET LOCAL app.tenant_id = ''"),
        ("malformed", "SET LOCAL app.tenant_id = 'acme'"),
    ];
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        let mut owner = pair.owner(&pair.a).await;
        fill(&mut owner, pair.a.id.as_uuid()).await;
        let tables: Vec<(String, String)> = sqlx::query_as(
            "SELECT format('%I.%I', nspname, relname), quote_ident(attname) FROM pg_class \
             JOIN pg_namespace AS n ON n.oid = relnamespace JOIN pg_attribute ON attrelid = pg_class.oid \
             WHERE relkind IN ('r', 'p') AND relrowsecurity AND attname = \
             CASE relname WHEN 'multitenancy_tenants' THEN 'id' ELSE 'tenant_id' END AND (nspname = current_schema OR nspname = 'public')",
        )
        .fetch_all(&mut owner)
        .await
        .unwrap();
        assert!(tables.len() >= 10, "{tables:?}");
        let mut full = 0;
        for (table, _) in &tables {
            let rows: i64 = value(&mut owner, format!("SELECT count(*) FROM {table}")).await.unwrap();
            full += usize::from(rows > 0);
        }
        for (state, set) in states {
            // Of its own: once it was set, a setting is empty and never unset again.
            let mut application = pair.owner(&pair.a).await;
            let unset = "SELECT current_setting('app.tenant_id', true) IS NULL";
            assert!(value::<bool>(&mut application, unset).await.unwrap());
            for (table, column) in &tables {
                let mut attempt = async |sql| attempt(&mut application, set, sql).await;
                let clear = |done: &Result<i64, String>| {
                    // A setting that is no id is an error wherever a row is looked at.
                    matches!(done, Ok(0))
                        || done.as_ref().is_err_and(|code| code == "22P02" || code == REFUSED)
                };
                for sql in [
                    format!("SELECT count(*) FROM {table}"),
                    format!("UPDATE {table} SET {column} = {column}"),
                    format!("DELETE FROM {table}"),
                ] {
                    let done = attempt(sql.clone()).await;
                    assert!(clear(&done), "{isolation:?}, {state}: {sql}: {done:?}");
                }
                // Which partition a row belongs to is looked at first.
                let values =
                    if table.contains("entries") { "(day) VALUES ('2026-05-05')" } else { "DEFAULT VALUES" };
                let inserted = attempt(format!("INSERT INTO {table} {values}")).await;
                assert!(
                    inserted.is_err() && clear(&inserted),
                    "{isolation:?}, {state}: {table}: {inserted:?}"
                );
            }
        }
        assert!(full >= 9, "{full} tables had rows to be seen");

        run(&mut owner, "ALTER TABLE projects DISABLE ROW LEVEL SECURITY").await.unwrap();
        let seen = attempt(&mut owner, states[0].1, "SELECT count(*) FROM projects".to_owned()).await;
        assert!(seen.is_ok_and(|rows| rows > 0), "the control");
    }
}

/// A row in each of the framework's tables.
async fn fill(owner: &mut PgConnection, tenant: Uuid) {
    let sql = "INSERT INTO multitenancy_users VALUES ('{t}', '{t}', 'a@b.c', 'a@b.c', NULL, '{}', '[]', true, true, true, NULL, NULL, now(), now()); \
         INSERT INTO multitenancy_sessions VALUES ('{t}', '{t}', '{t}', 'x', now(), now(), now()); \
         INSERT INTO multitenancy_outbox (tenant_id, event_id, event_type, version, occurred_at, aggregate_kind, aggregate_id, actor, payload) \
             VALUES ('{t}', '{t}', 'x', 1, now(), 'x', 'x', 'x', '{}'); \
         INSERT INTO multitenancy_audit VALUES ('{t}', '{t}', now(), '{}', 'x', 'x', 'x', '{}'); \
         INSERT INTO multitenancy_consumed_events VALUES ('{t}', 'x', '{t}')";
    run(owner, sql.replace("{t}", &tenant.to_string())).await.unwrap();
}
