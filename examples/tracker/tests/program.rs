//! Runs both programs, on SQLite and on PostgreSQL, and sends them requests.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::{
    fs::File,
    net::TcpListener,
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const PASSWORD: &str = "correct horse battery staple";

/// The program to run and its environment.
type Setting = (&'static str, Vec<(&'static str, String)>);

struct Program {
    child: Child,
    base: String,
    client: Client,
}

impl Program {
    async fn start(directory: &Path, (program, environment): &Setting) -> Self {
        // The port is free now; another process could take it before the program does.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(program)
            .current_dir(directory)
            .env("ADDRESS", address.to_string())
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdout(File::options().create(true).append(true).open(directory.join("output")).unwrap())
            .spawn()
            .unwrap();
        let base = format!("http://{address}");
        let client = Client::builder().no_proxy().build().unwrap();
        let program = Self { child, base, client };
        for _ in 0..200 {
            if program.client.get(&program.base).send().await.is_ok() {
                return program;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the program does not answer");
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        tenant: &str,
        token: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !tenant.is_empty() {
            request = request.header("x-tenant-id", tenant);
        }
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if body != Value::Null {
            request = request.json(&body);
        }
        let reply = request.send().await.unwrap();
        (reply.status(), reply.json().await.unwrap_or(Value::Null))
    }

    /// Registers and signs in; returns the access token.
    async fn join(&self, email: &str, tenant: &str) -> String {
        let credentials = json!({"email": email, "password": PASSWORD});
        let (status, _) =
            self.call(Method::POST, "/api/v1/auth/register", tenant, "", credentials.clone()).await;
        assert_eq!(status, 201);
        let (status, tokens) = self.call(Method::POST, "/api/v1/auth/login", tenant, "", credentials).await;
        assert_eq!(status, 200);
        tokens["access_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}

async fn tracker_keeps_tenants_apart(setting: &Setting) {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path(), setting).await;
    let ada = program.join("ada@example.com", "").await;
    for name in ["Acme", "Globex"] {
        let (status, _) =
            program.call(Method::POST, "/api/v1/organizations", "", &ada, json!({"name": name})).await;
        assert_eq!(status, 201);
    }
    let (bob, eve) =
        (program.join("bob@example.com", "acme").await, program.join("bob@example.com", "globex").await);

    let new = json!({"name": "Rocket"});
    let (status, project) = program.call(Method::POST, "/projects", "", &bob, new.clone()).await;
    assert_eq!((status, &project["name"]), (StatusCode::CREATED, &json!("Rocket")));
    let (_, acme) = program.call(Method::GET, "/projects", "", &bob, Value::Null).await;
    let (_, globex) = program.call(Method::GET, "/projects", "", &eve, Value::Null).await;
    assert_eq!((acme, globex), (json!([project]), json!([])));

    let (status, problem) = program.call(Method::POST, "/projects", "globex", &bob, new.clone()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("tenant_mismatch")));
    let (status, problem) = program.call(Method::POST, "/projects", "acme", "", new.clone()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (401, &json!("unauthenticated")));
    let (status, problem) = program.call(Method::POST, "/projects", "", &ada, new).await;
    assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("wrong_scope")));
    let (status, _) =
        program.call(Method::POST, "/projects", "", &bob, json!({"name": "x", "id": "y"})).await;
    assert_eq!(status, 422);
    for name in ["", "  ", &"x".repeat(201)] {
        let (status, problem) =
            program.call(Method::POST, "/projects", "", &bob, json!({ "name": name })).await;
        assert_eq!((status.as_u16(), &problem["errors"][0]["field"]), (422, &json!("name")), "{problem}");
    }

    // The subscriber gets the event of the committed project, and none of refused ones.
    let expected = format!("acme has a new project: {}\n", project["id"].as_str().unwrap());
    let output = || std::fs::read_to_string(directory.path().join("output")).unwrap();
    for _ in 0..100 {
        if !output().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(output(), expected);

    // The data and the signing secret outlive the process.
    drop(program);
    let program = Program::start(directory.path(), setting).await;
    let (status, acme) = program.call(Method::GET, "/projects", "", &bob, Value::Null).await;
    assert_eq!((status.as_u16(), acme), (200, json!([project])));
}

#[tokio::test]
async fn tracker_keeps_tenants_apart_on_sqlite() {
    // An empty variable counts as not set: the data directory keeps a random secret.
    let environment = vec![("JWT_SECRET", String::new())];
    tracker_keeps_tenants_apart(&(env!("CARGO_BIN_EXE_example-tracker"), environment)).await;
}

#[tokio::test]
async fn tracker_keeps_tenants_apart_on_postgres() {
    let server = std::env::var("DATABASE_URL").unwrap_or_default();
    assert!(
        server.starts_with("postgres"),
        "DATABASE_URL names no PostgreSQL server for the tests: run `cargo xtask test`, which finds one"
    );
    let name = format!("tracker_{}", uuid::Uuid::now_v7().simple());
    execute(&server, format!("CREATE DATABASE {name}")).await;
    let (base, _) = server.rsplit_once('/').unwrap();
    let environment = vec![
        ("DATABASE_URL", format!("{base}/{name}")),
        ("JWT_SECRET", "9d2f7a41-c0b8-4e63-95d1-38e6fb07ac52".to_owned()),
    ];
    let setting = (env!("CARGO_BIN_EXE_example-tracker-postgres"), environment);
    let played = tokio::spawn(async move { tracker_keeps_tenants_apart(&setting).await }).await;
    execute(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    played.unwrap();
}

async fn execute(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

/// As the README promises, the programs differ only in the store, its URL and its migrations.
#[test]
fn programs_differ_only_in_their_store() {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let postgres = include_str!("../src/main.rs")
        .replace("SqliteStore", "PgStore")
        .replace("\"sqlite:tracker-data\"", "&std::env::var(\"DATABASE_URL\")?")
        .replace("migrations/sqlite", "migrations/postgres");
    assert_eq!(squeezed(include_str!("../src/postgres.rs")), squeezed(&postgres));
}
