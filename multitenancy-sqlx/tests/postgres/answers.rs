//! Connections whose answers no longer match their messages, and connections without answers.

use std::time::Duration;

use futures_util::StreamExt;
use multitenancy_core::{ErrorKind, Isolation, TenantContext, environment::monotonic};
use multitenancy_sqlx::{PgStore, PgTransaction};
use multitenancy_testkit::{
    fixtures::{context, provisioned_in},
    postgres::PostgresServer,
};
use sqlx::{Connection, PgConnection};

use crate::{
    migrator::migrations,
    server::url,
    stage::{APPLICATION, Stage, run, value},
};

const ROUNDS: usize = 100;

async fn on_one_connection(stage: &Stage) -> PgStore {
    stage.builder().max_connections(1).connect().await.unwrap()
}

async fn insert(tx: &mut PgTransaction, name: &str) {
    run(tx.conn(), format!("INSERT INTO projects (name) VALUES ('{name}')")).await.unwrap();
}

async fn names(store: &PgStore, tenant: &TenantContext) -> String {
    let mut tx = store.read(tenant).await.unwrap();
    value(tx.conn(), "SELECT coalesce(string_agg(name, ',' ORDER BY name), '') FROM projects").await.unwrap()
}

/// Two tenants that can each identify their own data.
async fn two(stage: &Stage) -> [TenantContext; 2] {
    let mut both = Vec::new();
    for slug in ["acme", "globex"] {
        let tenant = context(&stage.tenant(slug, Isolation::Shared).await);
        let mut tx = stage.store.begin(&tenant).await.unwrap();
        insert(&mut tx, slug).await;
        tx.commit().await.unwrap();
        both.push(tenant);
    }
    both.try_into().unwrap()
}

/// S29: sqlx does not count the answers to COPY. A unit with a failed COPY is not acknowledged, because it is not
/// committed. The control: sqlx alone reports the COMMIT as done.
#[tokio::test]
async fn s29_a_failed_copy_is_not_committed() {
    let stage = Stage::new().await;
    let [acme, globex] = two(&stage).await;
    let store = on_one_connection(&stage).await;
    for _ in 0..ROUNDS {
        let mut tx = store.begin(&acme).await.unwrap();
        insert(&mut tx, "lost").await;
        assert!(tx.conn().copy_out_raw("COPY nowhere TO STDOUT").await.is_err());
        let refused = tx.commit().await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Unknown | ErrorKind::Internal), "{refused:?}");
        assert_eq!(names(&store, &globex).await, "globex");
        assert_eq!(names(&store, &acme).await, "acme");
    }

    stage.sql("CREATE TABLE plain (text text)").await;
    let mut plain = PgConnection::connect(&url(&stage.database)).await.unwrap();
    run(&mut plain, "BEGIN; INSERT INTO plain VALUES ('lost')").await.unwrap();
    assert!(plain.copy_out_raw("COPY nowhere TO STDOUT").await.is_err());
    run(&mut plain, "COMMIT").await.expect("sqlx takes an earlier answer for that of COMMIT");
    let rows: i64 = value(&mut stage.connection().await, "SELECT count(*) FROM plain").await.unwrap();
    assert_eq!(rows, 0);
}

/// A failed COPY in a savepoint leaves the transaction as it was, and each answer belongs to an earlier message.
async fn fall_behind(tx: &mut PgTransaction) {
    run(tx.conn(), "SAVEPOINT s").await.unwrap();
    assert!(tx.conn().copy_out_raw("COPY nowhere TO STDOUT").await.is_err());
    run(tx.conn(), "ROLLBACK TO s").await.unwrap();
}

/// S29: the answer to another message is not taken for COMMIT's answer, even if it looks like it: neither success
/// when nothing is committed, nor a retryable failure when the unit is committed.
#[tokio::test]
async fn s29_a_commit_that_hears_other_answers_is_unknown() {
    /// What is asked after the connection has fallen behind, so often; and what the COMMIT does.
    const QUESTIONS: [(usize, &[&str], &str); 4] = [
        (1, &["SELECT 1; SELECT 2; INSERT INTO nowhere VALUES (1)"], "acme"),
        (
            1,
            &[
                "SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5; SELECT 6; SELECT 7; INSERT INTO nowhere VALUES (1)",
            ],
            "acme",
        ),
        (1, &["SELECT 1; SELECT 2; SELECT 3; SELECT 4; SELECT 5; SELECT 6; SELECT 7; SELECT 8"], "acme,told"),
        (2, &["SAVEPOINT t", "INSERT INTO nowhere VALUES (1)", "ROLLBACK TO t"], "acme,told"),
    ];
    for (times, questions, found) in QUESTIONS {
        let stage = Stage::new().await;
        let [acme, globex] = two(&stage).await;
        let store = on_one_connection(&stage).await;
        let mut tx = store.begin(&acme).await.unwrap();
        insert(&mut tx, "told").await;
        for _ in 0..times {
            fall_behind(&mut tx).await;
        }
        for question in questions {
            let _earlier_answer = run(tx.conn(), *question).await;
        }
        let unknown = tx.commit().await.unwrap_err();
        assert_eq!((unknown.kind(), unknown.code()), (ErrorKind::Unknown, "commit_unknown"), "{questions:?}");
        assert_eq!(names(&store, &globex).await, "globex");
        assert_eq!(names(&store, &acme).await, found, "{questions:?}");
    }
}

/// E3: an export that fails after its first rows leaves its error unread: no other unit reads it.
#[tokio::test]
async fn e3_unread_error_does_not_reach_the_next_tenant() {
    let stage = Stage::new().await;
    let [acme, globex] = two(&stage).await;
    let store = on_one_connection(&stage).await;
    let failing = "COPY (SELECT CASE WHEN n < 2 THEN n ELSE (n || 'secret')::int END FROM generate_series(1, 2) AS n) TO STDOUT";
    for round in 0..ROUNDS {
        let mut tx = store.read(&acme).await.unwrap();
        let mut rows = tx.conn().copy_out_raw(failing).await.unwrap();
        rows.next().await.unwrap().unwrap();
        drop(rows);
        drop(tx);
        assert_eq!(names(&store, &globex).await, "globex", "round {round}");
    }
}

/// S28: after any outcome of an export on its connection, the next unit gets its own answers.
#[tokio::test]
async fn s28_the_next_unit_has_its_own_answers() {
    let stage = Stage::new().await;
    let [acme, globex] = two(&stage).await;
    run(
        &mut stage.connection().await,
        "INSERT INTO tenants.countries SELECT 'c' || n FROM generate_series(1, 200000) AS n",
    )
    .await
    .unwrap();
    let store = on_one_connection(&stage).await;
    for round in 0..ROUNDS {
        let mut tx = match round % 2 {
            0 => store.read(&acme).await.unwrap(),
            _ => store.begin(&acme).await.unwrap(),
        };
        match round % 4 {
            0 | 1 => assert!(tx.conn().copy_out_raw("COPY nowhere TO STDOUT").await.is_err()),
            _ => {
                let mut rows = tx.conn().copy_out_raw("COPY countries TO STDOUT").await.unwrap();
                rows.next().await.unwrap().unwrap();
            }
        }
        drop(tx);
        assert_eq!(names(&store, &globex).await, "globex", "after round {round}");
        let mut tx = store.begin(&globex).await.unwrap();
        insert(&mut tx, "gone").await;
        drop(tx);
        assert_eq!(names(&store, &acme).await, "acme", "after round {round}");
    }
}

/// A type of the application has another identity in each schema: a connection does not use the types of one schema
/// in another.
#[tokio::test]
async fn types_are_those_of_the_tenants_own_schema() {
    #[derive(Debug, PartialEq, sqlx::Type)]
    #[sqlx(type_name = "mood", rename_all = "lowercase")]
    enum Mood {
        Glad,
        Sad,
    }
    let stage = Stage::new().await;
    let moods = "CREATE TYPE mood AS ENUM ('glad', 'sad'); GRANT USAGE ON TYPE mood TO multitenancy_app;
                 CREATE TABLE days (id int PRIMARY KEY, mood mood NOT NULL); SELECT multitenancy.protect('days')";
    let all: Vec<_> = APPLICATION.iter().copied().chain([moods]).collect();
    let builder = stage.builder().tenant_migrations(migrations(&all));
    let store = builder.max_connections(1).connect().await.unwrap();
    store.migrate().await.unwrap();
    let mut made = 0;
    for _ in 0..3 {
        for isolation in [Isolation::Schema, Isolation::Shared, Isolation::Schema, Isolation::Database] {
            made += 1;
            let tenant = provisioned_in(&store, &format!("acme-{made}"), isolation).await;
            let mut tx = store.begin(&context(&tenant)).await.unwrap();
            let insert = sqlx::query("INSERT INTO days (id, mood) VALUES (1, $1)").bind(Mood::Sad);
            insert.execute(tx.conn()).await.unwrap();
            let mood: Mood = sqlx::query_scalar("SELECT mood FROM days").fetch_one(tx.conn()).await.unwrap();
            assert_eq!(mood, Mood::Sad);
            tx.commit().await.unwrap();
        }
    }
}

/// E8: a server that does not answer delays a unit no longer than the limit, at BEGIN, on idle and on new
/// connections, and at COMMIT; when the server answers again, the store works again.
#[tokio::test(flavor = "multi_thread")]
async fn e8_a_server_that_hangs_is_waited_for_briefly() {
    const WAIT: Duration = Duration::from_secs(2);
    let server = PostgresServer::start(&[]).unwrap();
    let store = PgStore::builder(&server.url()).allow_privileged_url(true).max_connections(8);
    let store = store.acquire_timeout(WAIT).statement_timeout(WAIT).connect().await.unwrap();
    store.migrate().await.unwrap();
    let tenant = provisioned_in(&store, "acme", Isolation::Shared).await;
    let tenant = context(&tenant);
    let mut writing = store.begin(&tenant).await.unwrap();
    run(writing.conn(), "SELECT 1").await.unwrap();
    // Idle connections, and permits for more.
    let held = (store.read(&tenant).await.unwrap(), store.read(&tenant).await.unwrap());
    drop(held);
    server.freeze(true).unwrap();
    for _ in 0..3 {
        let since = monotonic();
        let refused = store.read(&tenant).await.map(drop).unwrap_err();
        assert!(refused.is_retryable() || refused.kind() == ErrorKind::Unavailable, "{refused:?}");
        assert!(since.elapsed() < WAIT + Duration::from_secs(6), "{:?}", since.elapsed());
    }
    let since = monotonic();
    let unknown = writing.commit().await.unwrap_err();
    assert_eq!(unknown.code(), "commit_unknown", "{unknown:?}");
    assert!(since.elapsed() < 2 * WAIT + Duration::from_secs(2), "{:?}", since.elapsed());
    server.freeze(false).unwrap();
    let since = monotonic();
    while store.read(&tenant).await.is_err() {
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "the server answers again, and the store does not"
        );
    }
}

/// A connection that the server ended while it was idle is replaced, for any reason of the end.
#[tokio::test]
async fn an_idle_connection_that_was_ended_is_replaced() {
    let stage = Stage::new().await;
    stage.sql(format!("ALTER DATABASE {} SET idle_session_timeout TO '200ms'", stage.database)).await;
    let [acme, _] = two(&stage).await;
    let store = on_one_connection(&stage).await;
    for _ in 0..5 {
        assert_eq!(names(&store, &acme).await, "acme");
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
}
