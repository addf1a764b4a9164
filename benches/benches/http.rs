//! The cost of the whole stack, before a handler without work and before one query.
#![expect(clippy::unwrap_used, reason = "a benchmark, not a library: it fails by panicking")]

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{FromRef, State},
    routing::get,
};
use multitenancy::{
    Role, Tenancy,
    access::RequestFacts,
    account::{Credentials, Registration},
    auth::{Client, TokenConfig},
    axum::{Authorized, Problem, RequestLayer},
    organization::NewOrganization,
    sqlx::SqliteStore,
};
use multitenancy_benches::{Comparison, Effort, http::Load};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

const TASKS: usize = 16;
/// Connections for reads, on both sides.
const CONNECTIONS: usize = 4;
const NOTES: &str = "SELECT id, text FROM notes ORDER BY id DESC LIMIT 20";

multitenancy::permissions! {
    ReadNotes = "read_notes";
}

#[derive(Clone, FromRef)]
struct App {
    tenancy: Tenancy,
    store: SqliteStore,
    raw: SqlitePool,
}

type Note = (i64, String);

#[derive(serde::Serialize)]
struct Reply {
    ok: bool,
    text: &'static str,
}

const REPLY: Reply = Reply { ok: true, text: "the same small body on both sides" };

async fn bare() -> Json<Reply> {
    Json(REPLY)
}

async fn guarded(caller: Authorized<ReadNotes>) -> Json<Reply> {
    assert!(caller.tenant().slug.as_str() == "acme");
    Json(REPLY)
}

async fn bare_query(State(pool): State<SqlitePool>) -> Json<Vec<Note>> {
    Json(sqlx::query_as(NOTES).fetch_all(&pool).await.unwrap())
}

async fn guarded_query(
    caller: Authorized<ReadNotes>,
    State(store): State<SqliteStore>,
) -> Result<Json<Vec<Note>>, Problem> {
    let mut tx = store.read(&caller).await?;
    Ok(Json(sqlx::query_as(NOTES).fetch_all(tx.conn()).await?))
}

#[tokio::main]
async fn main() {
    // The stack creates spans, as in production. `-- --lines` adds the cost of a log line per request.
    let lines = std::env::args().any(|argument| argument == "--lines");
    let lines = lines.then(|| tracing_subscriber::fmt::layer().with_writer(std::io::sink));
    tracing_subscriber::registry().with(LevelFilter::INFO).with(lines).init();
    let effort = Effort::from_arguments();
    let directory = tempfile::tempdir().unwrap();
    let cached = Fixture::new(directory.path().join("cached"), 10_000).await;
    let uncached = Fixture::new(directory.path().join("uncached"), 0).await;

    let mut comparison = Comparison::new(effort, TASKS);
    let (plain, full) = (cached.load("/bare").await, cached.load("/guarded").await);
    let layered = cached.load("/layered").await;
    let verifying = uncached.load("/guarded").await;
    for _ in 0..comparison.rounds() {
        comparison.measure("bare axum handler", sending(&plain)).await;
        comparison.measure("the layer alone: identifier, span, bound, headers", sending(&layered)).await;
        comparison.measure("whole stack", sending(&full)).await;
        comparison.measure("whole stack, every token verified anew", sending(&verifying)).await;
    }
    comparison.report(
        "Whole stack (resolve, verify, principal, permission, context, span) ÷ bare handler; wanted: 0.75",
    );

    let mut comparison = Comparison::new(effort, TASKS);
    let (plain, full) = (cached.load("/bare-query").await, cached.load("/guarded-query").await);
    for _ in 0..comparison.rounds() {
        comparison.measure("bare axum handler, one query on sqlx's pool", sending(&plain)).await;
        comparison.measure("whole stack, one scoped query", sending(&full)).await;
    }
    comparison.report("Whole stack in front of one query ÷ bare handler with the query; wanted: 0.93");
}

fn sending(
    load: &Load,
) -> impl Fn(usize) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Clone + use<> {
    let load = load.clone();
    move |task| {
        let load = load.clone();
        Box::pin(async move { load.send(task).await.unwrap() })
    }
}

struct Fixture {
    address: SocketAddr,
    token: String,
}

impl Fixture {
    async fn new(directory: std::path::PathBuf, cache_capacity: usize) -> Self {
        let notes = sqlx::migrate!("./migrations/sqlite");
        let url = format!("sqlite:{}", directory.display());
        let store = SqliteStore::builder(&url)
            .tenant_migrations(notes)
            .max_readers_per_tenant(CONNECTIONS)
            .connect()
            .await
            .unwrap();
        let tenancy = Tenancy::builder(store.clone())
            .tokens(TokenConfig { cache_capacity, ..TokenConfig::default() })
            .grant::<ReadNotes>(Role::MEMBER)
            .build()
            .unwrap();
        let (tenant, token) = sign_up(&tenancy).await;
        let file = directory.join("tenants").join(format!("{tenant}.db"));
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS as u32);
        let raw = pool.connect_with(SqliteConnectOptions::new().filename(file)).await.unwrap();
        for text in 0..100 {
            let insert = sqlx::query("INSERT INTO notes (text) VALUES ($1)").bind(format!("note {text}"));
            insert.execute(&raw).await.unwrap();
        }
        let full = Router::new()
            .route("/layered", get(bare))
            .route("/guarded", get(guarded))
            .route("/guarded-query", get(guarded_query))
            .layer(RequestLayer::new(&tenancy));
        let router = Router::new()
            .route("/bare", get(bare))
            .route("/bare-query", get(bare_query))
            .merge(full)
            .with_state(App { tenancy, store, raw });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, token }
    }

    /// Both sides get the same headers, so that both parse them.
    async fn load(&self, path: &str) -> Load {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("x-tenant-id", "acme")];
        Load::connect(self.address, TASKS, path, &headers).await.unwrap()
    }
}

/// A tenant, and the token of one of its members.
async fn sign_up(tenancy: &Tenancy) -> (String, String) {
    let password = SecretString::from("correct horse battery staple");
    let join = async |email: &str, facts: &RequestFacts| {
        let realm = tenancy.access().context(facts).await.unwrap();
        let email = email.to_owned();
        let registration = Registration { email: email.clone(), password: password.clone(), full_name: None };
        tenancy.accounts().register(&realm, registration).await.unwrap();
        let credentials = Credentials { email, password: password.clone() };
        let signed_in = tenancy
            .accounts()
            .log_in(&realm, credentials, Client::default())
            .await
            .unwrap()
            .complete()
            .unwrap();
        signed_in.access_token.expose_secret().to_owned()
    };
    let platform = join("ada@example.com", &RequestFacts::default()).await;
    let ada = tenancy.access().authenticate(&platform, &RequestFacts::default()).await.unwrap();
    let new = NewOrganization { name: "Acme".parse().unwrap(), slug: None, isolation: None };
    let tenant = tenancy.organizations().create(&ada, new).await.unwrap().id;
    let facts = RequestFacts { tenant_keys: vec![tenant.into()], ..RequestFacts::default() };
    (tenant.to_string(), join("bob@example.com", &facts).await)
}
