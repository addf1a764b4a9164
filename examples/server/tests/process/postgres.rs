use std::io::Write;

use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    api::Api,
    database::{Database, statements},
    demo::{transcript::Transcript, walkthrough},
    program::reply,
    shutdown::{ADA, BOUND, LOG_IN, half_sent, wait_until_closed},
};

const ISOLATIONS: [&str; 3] = ["shared", "schema", "database"];

/// The steps of `--demo`, which runs on SQLite, pass on PostgreSQL too.
async fn walkthrough_passes(isolation: &str) {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let mut program = database.start(directory.path(), &[("DEFAULT_ISOLATION", isolation)]);
    let mut transcript =
        Transcript::new(format!("http://{}", program.address), "/api/v1".to_owned()).unwrap();
    walkthrough::play(&mut transcript).await.unwrap();
    assert!(transcript.count() > 20);
    assert!(database.registry().await.values().all(|(own, _)| own == isolation));
    database.assert_nothing_orphaned().await;

    program.signal("TERM");
    assert_eq!(program.ended(BOUND).code(), Some(0));
    let mut open = database.connections().await;
    for _ in 0..200 {
        if open == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        open = database.connections().await;
    }
    assert_eq!(open, 0, "connections outlive the process");
}

#[tokio::test]
async fn walkthrough_passes_in_shared_tables() {
    walkthrough_passes("shared").await;
}

#[tokio::test]
async fn walkthrough_passes_in_schemas() {
    walkthrough_passes("schema").await;
}

#[tokio::test]
async fn walkthrough_passes_in_databases() {
    walkthrough_passes("database").await;
}

/// One server has tenants of three isolations. Users with the same address in each of them are different users.
#[tokio::test]
async fn one_server_keeps_three_isolations_apart() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let program = database.start(directory.path(), &[]);
    assert!(
        !program.output.contains("hunter2") && !program.output.contains(database.name()),
        "{}",
        program.output
    );
    let api = Api::of(&program);
    let ada = api.join("ada@example.com", None).await;
    let mut bobs = Vec::new();
    for isolation in ISOLATIONS {
        let new = json!({"name": isolation, "slug": format!("in-{isolation}"), "isolation": isolation});
        let (status, tenant) = api.post("/organizations", &ada, new).await;
        assert_eq!((status, tenant["isolation"].as_str()), (201, Some(isolation)), "{tenant}");
        bobs.push(api.join("bob@example.com", Some(&format!("in-{isolation}"))).await);
    }
    let (status, default) = api.post("/organizations", &ada, json!({"name": "Initech"})).await;
    assert_eq!((status, default["isolation"].as_str()), (201, Some("shared")));

    for (bob, isolation) in bobs.iter().zip(ISOLATIONS) {
        let change = json!({"full_name": format!("Bob of {isolation}")});
        let path = "/api/v1/users/me";
        let (status, _) =
            api.try_call(reqwest::Method::PUT, path, None, Some(bob), Some(change)).await.unwrap();
        assert_eq!(status, 200);
    }
    let mut ids = std::collections::BTreeSet::new();
    for (bob, isolation) in bobs.iter().zip(ISOLATIONS) {
        let (_, me) = api.get("/api/v1/users/me", bob).await;
        assert_eq!(me["full_name"], format!("Bob of {isolation}"));
        assert!(ids.insert(me["id"].as_str().unwrap().to_owned()));
        for other in ISOLATIONS.iter().filter(|other| **other != isolation) {
            let path = "/api/v1/users/me";
            let elsewhere = Some(format!("in-{other}"));
            let (status, problem) = api
                .try_call(reqwest::Method::GET, path, elsewhere.as_deref(), Some(bob), None)
                .await
                .unwrap();
            assert_eq!((status, problem["code"].as_str()), (403, Some("tenant_mismatch")));
        }
    }
    database.assert_nothing_orphaned().await;
}

/// OpenAPI lists the isolations. The server refuses another value, and names the field.
#[tokio::test]
async fn server_refuses_an_unknown_isolation() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let program = database.start(directory.path(), &[]);
    let api = Api::of(&program);
    let ada = api.join("ada@example.com", None).await;
    for wrong in [json!("table"), json!("SCHEMA"), json!(1)] {
        let new = json!({"name": "Acme", "isolation": wrong});
        let (status, problem) = api.post("/organizations", &ada, new).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("validation_failed")), "{problem}");
        assert_eq!(problem["errors"][0]["field"], "isolation", "{problem}");
    }
    let (_, document) = api.get("/openapi.json", "").await;
    let documented = &document["components"]["schemas"]["NewOrganization"]["properties"]["isolation"];
    assert_eq!(documented["enum"], json!(ISOLATIONS), "{documented}");
    let responses = &document["paths"]["/api/v1/organizations"]["post"]["responses"];
    assert!(responses["422"].is_object(), "{responses}");
    assert!(database.registry().await.is_empty());
}

/// S115: one of 100 concurrent requests for a slug gets it. The others leave no storage.
#[tokio::test]
async fn s115_one_of_100_requests_gets_the_slug() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let program = database.start(directory.path(), &[]);
    let api = Api::of(&program);
    let ada = api.join("ada@example.com", None).await;
    for isolation in ISOLATIONS {
        let mut running = JoinSet::new();
        for _ in 0..100 {
            let (api, ada) = (api.clone(), ada.clone());
            let new =
                json!({"name": "Wanted", "slug": format!("wanted-{isolation}"), "isolation": isolation});
            running.spawn(async move { api.post("/organizations", &ada, new).await });
        }
        let mut answers = running.join_all().await;
        answers.sort_by_key(|(status, _)| *status);
        assert_eq!(answers[0].0, 201, "{}", answers[0].1);
        for (status, problem) in &answers[1..] {
            assert_eq!((*status, problem["code"].as_str()), (409, Some("slug_taken")), "{problem}");
        }
        api.join("bob@example.com", Some(&format!("wanted-{isolation}"))).await;
    }
    assert_eq!(database.registry().await.len(), 3);
    database.assert_nothing_orphaned().await;
}

/// A running request finishes after the signal, and the next process has its data.
#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_running_requests_on_postgres() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let mut program = database.start(directory.path(), &[]);
    let mut slow = half_sent(&program);
    program.signal("TERM");
    wait_until_closed(&program);
    slow.write_all(&ADA.as_bytes()[ADA.len() - 1..]).unwrap();
    let registered = reply(&mut slow);
    assert!(registered.starts_with("HTTP/1.1 201 "), "{registered}");
    assert_eq!(program.ended(BOUND).code(), Some(0));
    // The schema is current, so the next process need not migrate.
    let program = database.start(directory.path(), &[("AUTO_MIGRATE", "false")]);
    assert!(program.post(LOG_IN, ADA).starts_with("HTTP/1.1 200 "));
}

/// In development one privileged URL is enough: units of work assume a restricted role.
#[tokio::test(flavor = "multi_thread")]
async fn loopback_server_accepts_one_privileged_url() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let mut command = database.command(directory.path());
    command.env("DATABASE_URL", database.privileged_url()).env_remove("DATABASE_ADMIN_URL");
    let program = crate::program::Program::run(&mut command);
    let api = Api::of(&program);
    let ada = api.join("ada@example.com", None).await;
    let (status, _) = api.post("/organizations", &ada, json!({"name": "Acme"})).await;
    assert_eq!(status, 201);
    api.join("bob@example.com", Some("acme")).await;
    assert_eq!(database.registry().await.len(), 1);
}

/// docs/postgres.md shows the statements of compose/roles.sql, which these tests run too.
#[test]
fn document_shows_the_tested_roles() {
    let document = include_str!("../../../../docs/postgres.md");
    for statement in statements() {
        assert!(document.contains(statement), "docs/postgres.md does not show: {statement}");
    }
    assert_eq!(statements().count(), 4);
}
