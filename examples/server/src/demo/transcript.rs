//! Sends requests, and prints them with their replies.

use std::{
    fmt::Arguments,
    io::{self, Write},
};

use reqwest::{Client, Method};
use serde_json::Value;

/// Sends requests, prints them with their replies, and fails at the first unexpected reply.
pub struct Transcript {
    client: Client,
    base: String,
    prefix: String,
    count: usize,
}

/// A request that is not sent yet.
pub struct Request<'a> {
    transcript: &'a mut Transcript,
    method: Method,
    path: String,
    token: Option<String>,
    tenant: Option<String>,
    body: Option<Value>,
}

impl Transcript {
    pub fn new(base: String, prefix: String) -> reqwest::Result<Self> {
        Ok(Self { client: Client::builder().no_proxy().build()?, base, prefix, count: 0 })
    }

    /// The number of requests that were sent.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Prints the heading of the next step.
    pub fn step(&self, text: &str) -> io::Result<()> {
        say(format_args!("\n── {text}"))
    }

    /// A request below the API's prefix.
    pub fn call(&mut self, method: Method, path: &str) -> Request<'_> {
        let path = format!("{}{path}", self.prefix);
        Request { transcript: self, method, path, token: None, tenant: None, body: None }
    }

    /// A GET request outside of the API's prefix.
    pub fn system(&mut self, path: &str) -> Request<'_> {
        let path = path.to_owned();
        Request { transcript: self, method: Method::GET, path, token: None, tenant: None, body: None }
    }
}

impl Request<'_> {
    pub fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub fn tenant(self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..self }
    }

    pub fn json(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Sends the request and returns the body of the reply. Fails if the reply has another status.
    pub async fn expect(self, status: u16) -> Result<Value, Box<dyn std::error::Error>> {
        let Self { transcript, method, path, token, tenant, body } = self;
        transcript.count += 1;
        say(format_args!("\n{method} {path}"))?;
        let mut request = transcript.client.request(method, format!("{}{path}", transcript.base));
        if let Some(tenant) = tenant {
            say(format_args!("X-Tenant-Id: {tenant}"))?;
            request = request.header("x-tenant-id", tenant);
        }
        if let Some(token) = token {
            say(format_args!("Authorization: Bearer {}", shortened(&token)))?;
            request = request.bearer_auth(token);
        }
        if let Some(body) = &body {
            say(format_args!("{}", readable(body, &["password", "refresh_token"])))?;
            request = request.json(body);
        }
        let reply = request.send().await?;
        let got = reply.status();
        let text = reply.text().await?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        say(format_args!("→ {got}"))?;
        if value != Value::Null {
            say(format_args!("{}", readable(&value, &["access_token", "refresh_token"])))?;
        }
        if got.as_u16() != status {
            return Err(format!("expected {status}, got {got}: {text}").into());
        }
        Ok(value)
    }

    /// Like [`expect`](Self::expect); the reply must be a problem with this `code`.
    pub async fn refused(self, status: u16, code: &str) -> Result<(), Box<dyn std::error::Error>> {
        let problem = self.expect(status).await?;
        if problem["code"] != code {
            return Err(format!("expected the code {code}, got {}", problem["code"]).into());
        }
        Ok(())
    }
}

/// Prints a line. A closed output is an error; `println!` would panic.
fn say(line: Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Indented JSON in which the named fields are shortened.
fn readable(value: &Value, secrets: &[&str]) -> String {
    let mut shown = value.clone();
    if let Some(fields) = shown.as_object_mut() {
        for (name, value) in fields {
            if let Some(text) = value.as_str().filter(|_| secrets.contains(&name.as_str())) {
                *value = shortened(text).into();
            }
        }
    }
    serde_json::to_string_pretty(&shown).unwrap_or_default()
}

fn shortened(secret: &str) -> String {
    let start: String = secret.chars().take(6).collect();
    format!("{start}…")
}
