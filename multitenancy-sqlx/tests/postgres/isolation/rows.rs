//! Rows of another tenant: written, referred to, cascaded into, guessed, seen through views and partitions.

use super::*;

/// S11: a row cannot be given to another tenant, nor created in its name.
#[tokio::test]
async fn s11_a_write_into_the_other_tenant_is_refused() {
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        let writes = [
            "INSERT INTO projects (tenant_id, name) VALUES ('{b}', 'planted')",
            "UPDATE projects SET tenant_id = '{b}'",
            "UPDATE entries SET tenant_id = '{b}'",
            "INSERT INTO multitenancy_audit VALUES ('{b}', gen_random_uuid(), now(), '{}', 'x', 'x', 'x', '{}')",
            "INSERT INTO multitenancy_consumed_events VALUES ('{b}', 'x', gen_random_uuid())",
        ];
        for write in writes {
            assert_eq!(pair.as_a(write).await, Err(REFUSED.to_owned()), "{isolation:?}: {write}");
        }
        assert_eq!(pair.b_counts("projects").await, 1);

        let mut owner = pair.owner(&pair.a).await;
        run(&mut owner, "ALTER TABLE projects DISABLE ROW LEVEL SECURITY").await.unwrap();
        assert_eq!(pair.as_a(writes[0]).await, Ok(1), "the control: {isolation:?}");
    }
}

/// S14: an id that is hidden and one that does not exist are refused in the same words.
#[tokio::test]
async fn s14_a_hidden_id_is_refused_as_an_absent_one() {
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        let refer = async |table: &str, id: Uuid| {
            let mut tx = pair.stage.store.begin(&context(&pair.a)).await.unwrap();
            let done = run(tx.conn(), format!("INSERT INTO {table} (project_id) VALUES ('{id}')")).await;
            done.map_err(|error| (code(&error), error.to_string().replace(&id.to_string(), "")))
        };
        let absent = Uuid::from_u128(7);
        let hidden = refer("tasks", pair.project_of_b).await.unwrap_err();
        assert_eq!(hidden, refer("tasks", absent).await.unwrap_err(), "{isolation:?}");
        assert_eq!(hidden.0, "23503");
        assert_eq!(refer("tasks", pair.project_of_a).await, Ok(1));

        if isolation == Isolation::Shared {
            unsafe_child(&pair).await;
            assert_eq!(refer("unsafe_tasks", pair.project_of_b).await, Ok(1), "the control");
            assert!(refer("unsafe_tasks", absent).await.is_err(), "the control");
        }
    }
}

/// S15: a delete of one tenant removes no row of another.
#[tokio::test]
async fn s15_a_cascade_stays_inside_the_tenant() {
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        assert_eq!(pair.as_a("UPDATE projects SET name = 'mine'; DELETE FROM projects").await, Ok(2));
        assert_eq!(pair.as_a("DELETE FROM tasks").await, Ok(0), "its own went with it");
        assert_eq!((pair.b_counts("projects").await, pair.b_counts("tasks").await), (1, 1), "{isolation:?}");
    }
    let pair = Pair::new(Isolation::Shared).await;
    unsafe_child(&pair).await;
    let mut tx = pair.stage.store.begin(&context(&pair.b)).await.unwrap();
    let plant = format!("INSERT INTO unsafe_tasks (project_id) VALUES ('{}')", pair.project_of_a);
    run(tx.conn(), plant).await.unwrap();
    tx.commit().await.unwrap();
    pair.as_a("DELETE FROM projects").await.unwrap();
    assert_eq!(pair.b_counts("unsafe_tasks").await, 0, "the control: the cascade reached B's row");
}

/// A protected table whose foreign key leaves tenant_id out. `protect` refuses it, so the key comes later.
async fn unsafe_child(pair: &Pair) {
    let mut owner = pair.owner(&pair.a).await;
    let sql = "CREATE TABLE unsafe_tasks (project_id uuid); SELECT multitenancy.protect('unsafe_tasks'); \
               GRANT SELECT, INSERT, UPDATE, DELETE ON unsafe_tasks TO multitenancy_app; \
               ALTER TABLE projects ADD UNIQUE (id); \
               ALTER TABLE unsafe_tasks ADD FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE";
    run(&mut owner, sql).await.unwrap();
    let again = run(&mut owner, "SELECT multitenancy.protect('unsafe_tasks')").await.unwrap_err();
    assert!(again.to_string().contains("leaves tenant_id out"), "{again}");
}

/// S16: a value used by another tenant is free, and no error reveals its use elsewhere.
#[tokio::test]
async fn s16_a_unique_value_of_another_tenant_is_free() {
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        let mut tx = pair.stage.store.begin(&context(&pair.b)).await.unwrap();
        run(tx.conn(), "INSERT INTO projects (name, code) VALUES ('x', 'secret')").await.unwrap();
        tx.commit().await.unwrap();
        let insert = "INSERT INTO projects (name, code) VALUES ('y', 'secret') ON CONFLICT DO NOTHING";
        assert_eq!(pair.as_a(insert).await, Ok(1), "{isolation:?}");
        assert_eq!(pair.as_a(insert).await, Ok(0), "{isolation:?}: its own is taken");
        if isolation == Isolation::Shared {
            let mut owner = pair.owner(&pair.a).await;
            let unsafe_key =
                "UPDATE projects SET code = code || tenant_id; CREATE UNIQUE INDEX ON projects (code)";
            run(&mut owner, unsafe_key).await.unwrap();
            let guess = format!(
                "INSERT INTO projects (name, code) VALUES ('z', 'secret{}') ON CONFLICT DO NOTHING",
                pair.b.id.as_uuid()
            );
            assert_eq!(pair.as_a(&guess).await, Ok(0), "the control: the index tells");
        }
    }
}

/// S17–S19: views, partitions, inheriting tables and copies show a tenant its own rows, or nothing.
#[tokio::test]
async fn s17_to_s19_no_other_way_to_a_table_shows_more() {
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        let mut owner = pair.owner(&pair.a).await;
        let made = "CREATE TABLE own_projects (own int) INHERITS (projects); \
                    CREATE TABLE entries_2027 (number bigint NOT NULL, day date NOT NULL, tenant_id uuid NOT NULL); \
                    ALTER TABLE entries ATTACH PARTITION entries_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01'); \
                    SELECT multitenancy.protect('projects'); SELECT multitenancy.protect('entries'); \
                    CREATE MATERIALIZED VIEW names AS SELECT name FROM projects; \
                    CREATE TABLE copies (LIKE projects INCLUDING ALL); INSERT INTO copies SELECT * FROM projects; \
                    CREATE VIEW peek AS SELECT * FROM projects";
        run(&mut owner, made).await.unwrap();
        let schema: String = value(&mut owner, "SELECT current_schema()::text").await.unwrap();
        let grants = format!("SELECT multitenancy.grant_app('{schema}', ARRAY['countries'])");
        run(&mut owner, &grants).await.unwrap();
        for tenant in [&pair.a, &pair.b] {
            let insert = format!(
                "INSERT INTO own_projects (tenant_id, id, name, own) VALUES ('{0}', gen_random_uuid(), 'own', 1); \
                 INSERT INTO entries (day, tenant_id) VALUES ('2027-05-01', '{0}')",
                tenant.id.as_uuid()
            );
            run(&mut owner, insert).await.unwrap();
        }
        let mut tx = pair.stage.store.read(&context(&pair.a)).await.unwrap();
        let counts = [
            ("named_projects", 2),
            ("projects", 2),
            ("own_projects", 1),
            ("entries", 2),
            ("entries_2026", 1),
            ("entries_2027", 1),
        ];
        for (relation, rows) in counts {
            let count: i64 = value(tx.conn(), format!("SELECT count(*) FROM {relation}")).await.unwrap();
            assert_eq!(count, rows, "{isolation:?}: {relation}");
        }
        drop(tx);
        for closed in ["names", "copies", "peek"] {
            let refused = pair.as_a(&format!("SELECT * FROM {closed}")).await;
            assert_eq!(refused, Err(REFUSED.to_owned()), "{isolation:?}: {closed}");
        }
        run(&mut owner, "GRANT SELECT ON names, copies, peek TO multitenancy_app").await.unwrap();
        let mut tx = pair.stage.store.read(&context(&pair.a)).await.unwrap();
        let seen: i64 = value(tx.conn(), "SELECT count(*) FROM peek").await.unwrap();
        assert!(seen > 2, "the control: a view with its owner's rights shows {seen}");
    }
}
