use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::program::Program;

const PASSWORD: &str = "correct horse battery staple";

/// A client of a running server.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
}

impl Api {
    pub fn of(program: &Program) -> Self {
        let client = Client::builder().no_proxy().build().unwrap();
        Self { client, base: format!("http://{}", program.address) }
    }

    /// The status and body of the reply.
    pub async fn try_call(
        &self,
        method: Method,
        path: &str,
        tenant: Option<&str>,
        token: Option<&str>,
        body: Option<Value>,
    ) -> reqwest::Result<(u16, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(tenant) = tenant {
            request = request.header("x-tenant-id", tenant);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await?;
        let status = reply.status().as_u16();
        Ok((status, reply.json().await?))
    }

    pub async fn try_post(&self, path: &str, token: &str, body: Value) -> reqwest::Result<(u16, Value)> {
        let path = format!("/api/v1{path}");
        self.try_call(Method::POST, &path, None, Some(token), Some(body)).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> (u16, Value) {
        self.try_post(path, token, body).await.unwrap()
    }

    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.try_call(Method::GET, path, None, Some(token), None).await.unwrap()
    }

    pub async fn try_register(&self, email: &str, tenant: Option<&str>) -> reqwest::Result<(u16, Value)> {
        self.credentials("register", email, tenant).await
    }

    pub async fn try_log_in(&self, email: &str, tenant: Option<&str>) -> reqwest::Result<(u16, Value)> {
        self.credentials("login", email, tenant).await
    }

    async fn credentials(
        &self,
        route: &str,
        email: &str,
        tenant: Option<&str>,
    ) -> reqwest::Result<(u16, Value)> {
        let body = json!({"email": email, "password": PASSWORD});
        self.try_call(Method::POST, &format!("/api/v1/auth/{route}"), tenant, None, Some(body)).await
    }

    /// Registers and signs in. Returns the access token.
    pub async fn join(&self, email: &str, tenant: Option<&str>) -> String {
        let (status, user) = self.try_register(email, tenant).await.unwrap();
        assert_eq!(status, 201, "{user}");
        self.log_in(email, tenant).await
    }

    pub async fn log_in(&self, email: &str, tenant: Option<&str>) -> String {
        let (status, tokens) = self.try_log_in(email, tenant).await.unwrap();
        assert_eq!(status, 200, "{tokens}");
        tokens["access_token"].as_str().unwrap().to_owned()
    }
}
