//! Runs the program as it stands, and uses it over HTTP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery staple";

struct Program {
    child: Child,
    base: String,
    client: Client,
}

impl Program {
    async fn start(directory: &Path) -> Self {
        // The port is free at this moment; the program needs it a moment later.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_example-tracker"))
            .current_dir(directory)
            .env("ADDRESS", address.to_string())
            .env_remove("JWT_SECRET")
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

#[tokio::test]
async fn projects_belong_to_one_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path()).await;
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

    // The data and the signing secret outlive the process.
    drop(program);
    let program = Program::start(directory.path()).await;
    let (status, acme) = program.call(Method::GET, "/projects", "", &bob, Value::Null).await;
    assert_eq!((status.as_u16(), acme), (200, json!([project])));
}
