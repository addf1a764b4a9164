//! The audit of a database takes one pass, whatever the number of schemas.

use multitenancy_core::environment::monotonic;

use super::*;

/// An audit of a thousand tenant schemas takes less than two seconds, and finds the broken one.
#[tokio::test]
async fn s10_a_thousand_schemas_are_audited_in_one_pass() {
    const SCHEMAS: usize = 1_000;
    let stage = Stage::new().await;
    let mut owner = stage.connection().await;
    // As migrations leave them, but faster: it is the catalogue that is looked at.
    let make = "DO $$ DECLARE tenant text; BEGIN FOR n IN %FROM% LOOP \
         tenant := 'tenant_' || replace(gen_random_uuid()::text, '-', ''); EXECUTE format('CREATE SCHEMA %s', tenant); \
         PERFORM set_config('search_path', tenant, true); \
         CREATE TABLE projects (id uuid PRIMARY KEY, name text, code text UNIQUE); PERFORM multitenancy.protect('projects'); \
         CREATE TABLE tasks (tenant_id uuid, id uuid PRIMARY KEY, project_id uuid, \
             FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id)); PERFORM multitenancy.protect('tasks'); \
         CREATE TABLE notes (id uuid PRIMARY KEY); PERFORM multitenancy.protect('notes'); \
         CREATE TABLE links (id uuid PRIMARY KEY); PERFORM multitenancy.protect('links'); \
         CREATE TABLE marks (id uuid PRIMARY KEY); PERFORM multitenancy.protect('marks'); \
         CREATE VIEW names WITH (security_invoker = true) AS SELECT name FROM projects; \
         PERFORM multitenancy.grant_app(tenant, '{}'); END LOOP; END $$";
    for first in (1..=SCHEMAS).step_by(100) {
        let range = format!("{first}..{}", first + 99);
        run(&mut owner, make.replace("%FROM%", &range)).await.unwrap();
    }
    let start = monotonic();
    assert_eq!(stage.store.audit().await.unwrap(), []);
    let took = start.elapsed();
    eprintln!("{SCHEMAS} schemas, {} tables: {took:?}", SCHEMAS * 5);
    assert!(took.as_secs() < 2, "{took:?}");

    let broken: String =
        value(&mut owner, "SELECT max(nspname)::text FROM pg_namespace WHERE nspname ~ '^tenant_'")
            .await
            .unwrap();
    run(&mut owner, format!("ALTER TABLE {broken}.tasks DISABLE ROW LEVEL SECURITY")).await.unwrap();
    let faults = stage.store.audit().await.unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].object, format!("{broken}.tasks"));
}
