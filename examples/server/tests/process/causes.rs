//! E3: a reply never shows PostgreSQL's text about a failed statement. The tests send requests through the whole stack: to
//! an application's handler whose statements fail, and to the framework's own routes.

use std::{
    collections::BTreeSet,
    error::Error as StdError,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{FromRef, State},
    http::{Request, header::CONTENT_TYPE},
    routing::post,
};
use multitenancy::{
    Isolation, Tenant, UnitOfWork,
    auth::{KeyRing, SigningKey},
    axum::{CurrentTenant, Path, Problem, RequestLayer, Tenancy, routes},
    sqlx::PgStore,
};
use multitenancy_testkit::fixtures;
use serde_json::{Value, json};
use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};
use tower::ServiceExt;

use crate::database::Database;

const TABLES: &str = "CREATE TABLE canary_things (id bigint PRIMARY KEY, name text NOT NULL, size integer, \
        code varchar(9) CONSTRAINT canary_code UNIQUE DEFERRABLE INITIALLY DEFERRED, \
        CONSTRAINT canary_size CHECK (size > 0)); \
    SELECT multitenancy.protect('canary_things'); \
    CREATE TABLE canary_parts (tenant_id uuid NOT NULL, id bigint PRIMARY KEY, thing bigint, \
        CONSTRAINT canary_of FOREIGN KEY (tenant_id, thing) REFERENCES canary_things (tenant_id, id)); \
    SELECT multitenancy.protect('canary_parts')";

/// A statement that raises a SQLSTATE, with a canary in each field of the error.
macro_rules! raise {
    ($code:expr) => {
        concat!("DO $$ ", raising!($code), " $$")
    };
}

macro_rules! raising {
    ($code:expr) => {
        concat!(
            "BEGIN RAISE EXCEPTION USING ERRCODE = ",
            $code,
            ", MESSAGE = 'canary message', DETAIL = 'canary detail', HINT = 'canary hint', \
             CONSTRAINT = 'canary_constraint', TABLE = 'canary_things', COLUMN = 'canary_column', \
             SCHEMA = 'canary_schema'; END"
        )
    };
}

/// SQLSTATEs, each with a statement that fails with it.
const FAILURES: &[(&str, &str)] = &[
    ("0A000", "SELECT count(*) AS canary FROM canary_things FOR UPDATE"),
    ("22001", "INSERT INTO canary_things (id, name, code) VALUES (1, 'canary', 'canary canary')"),
    ("22003", "SELECT 'canary', 2147483647::integer + 1"),
    ("22008", "SELECT 'canary', '2026-02-31'::date"),
    ("22012", "SELECT 'canary', 1 / (SELECT count(*) FROM canary_things)"),
    ("22P02", "SELECT 'canary'::integer"),
    ("23502", "INSERT INTO canary_things (id, code) VALUES (1, 'canary')"),
    ("23503", "INSERT INTO canary_parts (id, thing) VALUES (1, 99)"),
    ("23505", "INSERT INTO canary_things (id, name) VALUES (1, 'canary'), (1, 'canary')"),
    ("42501", "CREATE TEMPORARY TABLE canary (id int)"),
    // PostgreSQL reports this one at the commit.
    ("23505", "INSERT INTO canary_things (id, name, code) VALUES (1, '', 'canary'), (2, '', 'canary')"),
    ("23514", "INSERT INTO canary_things (id, name, size) VALUES (1, 'canary', -1)"),
    ("25006", "SET TRANSACTION READ ONLY; INSERT INTO canary_things (id, name) VALUES (1, 'canary')"),
    ("26000", "EXECUTE canary"),
    ("34000", "FETCH canary"),
    ("3D000", "ALTER DATABASE canary RESET ALL"),
    ("3F000", "CREATE TABLE canary.canary (id int)"),
    ("42501", "SELECT * FROM multitenancy_plane_migrations /* canary */"),
    ("42501", "INSERT INTO canary_things (tenant_id, id, name) VALUES (gen_random_uuid(), 1, 'canary')"),
    ("42601", "SELEC canary FROM canary_things"),
    ("42703", "SELECT canary_column FROM canary_things"),
    ("42804", "INSERT INTO canary_things (id, name) VALUES (true, 'canary')"),
    ("42883", "SELECT canary_function()"),
    ("42P01", "SELECT * FROM canary_table"),
    ("57014", "SET LOCAL statement_timeout = 20; SELECT pg_sleep(20), 'canary'"),
    // Further SQLSTATEs that the server or its functions can return.
    ("21000", raise!("\'21000\'")),
    ("23P01", raise!("\'23P01\'")),
    ("28000", raise!("\'28000\'")),
    ("38000", raise!("\'38000\'")),
    ("40001", raise!("\'40001\'")),
    ("40P01", raise!("\'40P01\'")),
    ("44000", raise!("\'44000\'")),
    ("53100", raise!("\'53100\'")),
    ("53300", raise!("\'53300\'")),
    ("54000", raise!("\'54000\'")),
    ("55P03", raise!("\'55P03\'")),
    ("57P01", raise!("\'57P01\'")),
    ("P0001", raise!("\'P0001\'")),
    ("XX000", raise!("\'XX000\'")),
];

/// Words from the server, its log and the statements, which no reply may contain.
const HIDDEN: &[&str] = &[
    "canary",
    "multitenancy_",
    "tenants.",
    "public.",
    "select ",
    "insert ",
    "violates",
    "duplicate",
    "constraint",
    "relation",
    "column",
    "syntax error",
    "does not exist",
    "permission denied",
    "row-level",
    "statement timeout",
    "canceling",
    "rows removed",
    "rows=",
    "pl/pgsql",
    "postgres",
    "pg_",
    "sqlx",
    "sqlstate",
    "detail:",
    "hint:",
];

fn found_words<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let text = text.to_lowercase();
    words.into_iter().filter(|word| text.contains(&word.to_lowercase())).collect()
}

#[derive(Clone, FromRef)]
struct App {
    tenancy: Tenancy,
    store: PgStore,
    /// The errors that handlers saw, with their causes.
    reports: Arc<Mutex<Vec<String>>>,
}

/// The error with its causes.
fn chain_of(error: &(dyn StdError + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(|error| format!("{error:?}\n")).collect()
}

async fn fail(
    tenant: CurrentTenant,
    State(app): State<App>,
    Path(which): Path<usize>,
) -> Result<(), Problem> {
    let report = |error: &(dyn StdError + 'static)| app.reports.lock().unwrap().push(chain_of(error));
    let mut tx = app.store.begin(&tenant).await?;
    let (_, sql) = FAILURES[which];
    sqlx::raw_sql(sql).execute(tx.conn()).await.inspect_err(|error| report(error))?;
    Ok(tx.commit().await.inspect_err(|error| report(error))?)
}

impl App {
    async fn on(database: &Database) -> Self {
        let migration =
            Migration::new(1, "things".into(), MigrationType::Simple, TABLES.into_sql_str(), false);
        let builder = PgStore::builder(&database.url()).admin_url(&database.admin_url());
        let migrations = Migrator::with_migrations(vec![migration]);
        let store = builder.tenant_migrations(migrations).connect().await.unwrap();
        multitenancy::Store::migrate(&store).await.unwrap();
        let keys = KeyRing::new(SigningKey::hs256(&"9d2f7a41-c0b8-4e63-95d1-38e6fb07ac52".into()).unwrap());
        let tenancy = Tenancy::builder(store.clone()).keys(keys).without_background_work().build().unwrap();
        Self { tenancy, store, reports: Arc::default() }
    }

    /// Status, problem, and the text of headers and body without the request id.
    async fn post(&self, path: &str, tenant: &Tenant, body: Value) -> (u16, Value, String) {
        let router = Router::new()
            .nest("/api/v1", routes(&self.tenancy))
            .route("/fail/{which}", post(fail))
            .layer(RequestLayer::new(&self.tenancy))
            .with_state(self.clone());
        let request = Request::post(path).header("x-tenant-id", tenant.slug.as_str());
        let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
        let (parts, body) = router.oneshot(request.unwrap()).await.unwrap().into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let shown = format!("{:?} {}", parts.headers, String::from_utf8_lossy(&bytes));
        let shown = match problem["request_id"].as_str() {
            Some(id) => shown.replace(id, ""),
            None => shown,
        };
        (parts.status.as_u16(), problem, shown)
    }
}

/// Every failed statement of an application gives the same reply, in every isolation. Control: the same search finds hidden
/// words in the error that the handler saw.
#[tokio::test(flavor = "multi_thread")]
async fn e3_answers_hide_failures_of_app_statements() {
    let database = Database::new().await;
    let app = App::on(&database).await;
    for isolation in [Isolation::Shared, Isolation::Schema, Isolation::Database] {
        let tenant = fixtures::provisioned_in(&app.store, &format!("in-{isolation}"), isolation).await;
        let mut answers = BTreeSet::new();
        for (which, (code, sql)) in FAILURES.iter().enumerate() {
            let (status, problem, shown) = app.post(&format!("/fail/{which}"), &tenant, Value::Null).await;
            let report = std::mem::take(&mut *app.reports.lock().unwrap()).concat();
            assert!(
                report.contains(&format!("\"{code}\"")),
                "{sql} failed with another code: {report} {shown}"
            );
            assert!(!found_words(&report, HIDDEN.iter().copied()).is_empty(), "the control: {report}");
            let id = tenant.id.as_uuid();
            let own = [code.to_string(), id.to_string(), id.simple().to_string()];
            let hidden = HIDDEN.iter().copied().chain(own.iter().map(String::as_str));
            assert_eq!(found_words(&shown, hidden), [""; 0], "{sql}: {shown}");
            answers.insert((
                status,
                problem["code"].as_str().map(str::to_owned),
                problem["detail"].to_string(),
            ));
        }
        assert_eq!(answers.len(), 1, "{isolation}: failures give different replies: {answers:?}");
        let (status, code, _) = answers.pop_first().unwrap();
        assert_eq!((status, code.as_deref()), (500, Some("internal_error")));
    }
}

/// For the framework's own statements, the code only says whether to retry.
#[tokio::test(flavor = "multi_thread")]
async fn e3_answers_hide_failures_of_own_statements() {
    let database = Database::new().await;
    let app = App::on(&database).await;
    let tenant = fixtures::provisioned_in(&app.store, "acme", Isolation::Shared).await;
    // The e-mail address has the SQLSTATE to raise.
    let body = raising!("upper(substr(NEW.email, 2, 5))");
    let trigger = format!(
        "CREATE FUNCTION public.raise() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$; CREATE TRIGGER raise \
         BEFORE INSERT ON tenants.multitenancy_users FOR EACH ROW EXECUTE FUNCTION public.raise()"
    );
    database.execute(trigger).await;
    for (sqlstate, _) in FAILURES {
        let email = format!("c{sqlstate}@example.com");
        let person = json!({"email": email, "password": "lintel-walnut-46-orbit"});
        let (status, problem, shown) = app.post("/api/v1/auth/register", &tenant, person).await;
        assert_eq!(
            found_words(&shown, HIDDEN.iter().copied().chain([*sqlstate])),
            [""; 0],
            "{sqlstate}: {shown}"
        );
        let expected = match *sqlstate {
            "40001" | "40P01" | "55P03" | "57014" | "53300" => (503, "overloaded"),
            "53100" => (503, "storage_full"),
            "57P01" => (503, "storage_unavailable"),
            _ => (500, "internal_error"),
        };
        assert_eq!((status, problem["code"].as_str().unwrap()), expected, "{sqlstate}");

        let mut unit = app.store.begin(&fixtures::context(&tenant)).await.unwrap();
        let error = unit.users().insert(&fixtures::user(&email), None).await.unwrap_err();
        assert!(format!("{error:?}").contains("canary message"), "the control: {error:?}");
    }
}
