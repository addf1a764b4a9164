//! Every SQL verb that could bypass the guard (S20, S23, E6).

use super::*;

/// E6: each verb touches the tenant's own rows and no other.
#[tokio::test]
async fn e6_every_verb_stays_inside_the_tenant() {
    let verbs = [
        "INSERT INTO projects (name, code) VALUES ('x', 'first') ON CONFLICT (tenant_id, code) DO UPDATE SET name = 'taken'",
        "UPDATE projects SET name = 'taken' FROM tasks WHERE tasks.project_id = projects.id",
        "MERGE INTO projects USING (SELECT 'first' AS code) AS new ON projects.code = new.code \
         WHEN MATCHED THEN UPDATE SET name = 'taken'",
        "UPDATE entries SET day = '2026-04-01' WHERE day = '2026-03-01'",
        "DELETE FROM tasks USING projects WHERE tasks.project_id = projects.id",
    ];
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        for verb in verbs {
            assert_eq!(pair.as_a(verb).await, Ok(1), "{isolation:?}: {verb}");
        }
        let bulk = "INSERT INTO projects (name, code) SELECT * FROM unnest(ARRAY['p', 'q'], ARRAY['1', '2'])";
        assert_eq!(pair.as_a(bulk).await, Ok(2));
        assert_eq!(pair.b_counts("projects WHERE name <> 'taken'").await, 1, "{isolation:?}");
        assert_eq!(pair.b_counts("tasks").await, 1, "{isolation:?}");
        assert_eq!(pair.b_counts("entries WHERE day = '2026-03-01'").await, 1, "{isolation:?}");
        for foreign in [
            "INSERT INTO projects (tenant_id, name) SELECT '{b}', 'x' FROM unnest(ARRAY[1, 2])",
            "MERGE INTO projects USING (SELECT 1) AS new ON false WHEN NOT MATCHED THEN INSERT (tenant_id, name) VALUES ('{b}', 'x')",
        ] {
            assert_eq!(pair.as_a(foreign).await, Err(REFUSED.to_owned()), "{isolation:?}: {foreign}");
        }
    }
    let pair = Pair::new(Isolation::Shared).await;
    run(&mut pair.owner(&pair.a).await, "ALTER TABLE projects DISABLE ROW LEVEL SECURITY").await.unwrap();
    assert_eq!(pair.as_a(verbs[2]).await, Ok(2), "the control: MERGE reaches B's row");
}

/// E6: PostgreSQL refuses COPY into a guarded table, also with the tenant's own rows.
#[tokio::test]
async fn e6_copy_in_is_refused() {
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        let mut tx = pair.stage.store.begin(&context(&pair.a)).await.unwrap();
        let refused = tx.conn().copy_in_raw("COPY projects (name) FROM STDIN").await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("COPY FROM not supported with row-level security"), "{refused}");
        drop(tx);
        let copied = pair.owner(&pair.a).await.copy_in_raw("COPY countries FROM STDIN").await.map(drop);
        copied.expect("the control: it is the guard that refuses");
    }
}

/// S20: units of work create nothing and truncate nothing.
#[tokio::test]
async fn s20_units_create_and_truncate_nothing() {
    let forbidden = [
        "CREATE FUNCTION see(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END'",
        "CREATE FUNCTION pg_temp.see(text) RETURNS boolean LANGUAGE sql RETURN true",
        "CREATE FUNCTION public.see(text) RETURNS boolean LANGUAGE sql RETURN true",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
        "TRUNCATE projects CASCADE",
        "TRUNCATE entries_2026",
        "ALTER TABLE projects DISABLE ROW LEVEL SECURITY",
        "CREATE TRIGGER t AFTER INSERT ON projects EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "INSERT INTO countries VALUES ('XX')",
        "DELETE FROM multitenancy_marker",
        "DELETE FROM multitenancy.fences",
        "INSERT INTO multitenancy.fences VALUES ('{b}', '{b}')",
        "SELECT multitenancy.raise_fence('{b}', '{b}')",
        "SELECT * FROM multitenancy_plane_migrations",
        "SELECT multitenancy.protect('projects')",
    ];
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        for sql in forbidden {
            assert_eq!(pair.as_a(sql).await, Err(REFUSED.to_owned()), "{isolation:?}: {sql}");
        }
        assert_eq!(pair.as_a("SELECT * FROM countries").await, Ok(1));
        run(&mut pair.owner(&pair.b).await, "GRANT TRUNCATE ON tasks TO multitenancy_app").await.unwrap();
        if isolation == Isolation::Shared {
            pair.as_a("TRUNCATE tasks").await.unwrap();
            assert_eq!(pair.b_counts("tasks").await, 0, "the control: it empties B's too");
        }
    }
}

/// S23: a statement that switches the guard off to see every row gets an error, not a part of the rows.
#[tokio::test]
async fn s23_without_row_security_a_query_fails() {
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        let export = "SET LOCAL row_security = off; SELECT * FROM projects";
        assert_eq!(pair.as_a(export).await, Err(REFUSED.to_owned()), "{isolation:?}");
        assert_eq!(
            pair.as_a("SET LOCAL row_security = on; SELECT * FROM projects").await,
            Ok(1),
            "the control"
        );
        let mut all = pair.owner(&pair.b).await;
        let sql = "SET row_security = off; SELECT count(*) FROM projects";
        run(&mut all, sql).await.expect("who bypasses the guard may see everything");
    }
}
