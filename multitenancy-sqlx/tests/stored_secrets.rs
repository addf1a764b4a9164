//! S61, S70: a reader of the database cannot sign in with any stored value.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::{collections::BTreeSet, path::Path};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use common::open;
use multitenancy_core::{
    Context, ControlContext, ErrorKind, Plane, Tenancy, Tenant,
    access::RequestFacts,
    account::{Credentials, Registration, SignedIn},
    auth::Client,
    secret::{Purpose, SecretToken},
};
use multitenancy_sqlx::SqliteStore;
use multitenancy_testkit::{
    fixtures::{context, provisioned},
    rounds,
};
use secrecy::ExposeSecret;
use sqlx::{Row, SqliteConnection};
use tokio::task::JoinSet;

const PASSWORD: &str = "lintel-walnut-46-orbit";

/// Every table on either plane. The test ignores a new table until it is listed here.
const TABLES: &[(&str, &str)] = &[
    ("_sqlx_migrations", "SELECT * FROM _sqlx_migrations"),
    ("multitenancy_audit", "SELECT * FROM multitenancy_audit"),
    ("multitenancy_consumed_events", "SELECT * FROM multitenancy_consumed_events"),
    ("multitenancy_control_migrations", "SELECT * FROM multitenancy_control_migrations"),
    ("multitenancy_marker", "SELECT * FROM multitenancy_marker"),
    ("multitenancy_memberships", "SELECT * FROM multitenancy_memberships"),
    ("multitenancy_outbox", "SELECT * FROM multitenancy_outbox"),
    ("multitenancy_plane_migrations", "SELECT * FROM multitenancy_plane_migrations"),
    ("multitenancy_sessions", "SELECT * FROM multitenancy_sessions"),
    ("multitenancy_tenant_schemas", "SELECT * FROM multitenancy_tenant_schemas"),
    ("multitenancy_tenants", "SELECT * FROM multitenancy_tenants"),
    ("multitenancy_users", "SELECT * FROM multitenancy_users"),
    ("notes", "SELECT * FROM notes"),
    ("sqlite_sequence", "SELECT * FROM sqlite_sequence"),
];

/// Every value of every table, as bytes.
async fn values(connection: &mut SqliteConnection) -> BTreeSet<Vec<u8>> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut *connection).await.unwrap();
    let mut values = BTreeSet::new();
    for name in names {
        let select = TABLES.iter().find(|(table, _)| *table == name);
        let (_, select) = select.unwrap_or_else(|| panic!("the table {name} is not read"));
        for row in sqlx::query(*select).fetch_all(&mut *connection).await.unwrap() {
            values.extend(
                (0..row.len())
                    .filter_map(|column| row.try_get_unchecked::<Option<Vec<u8>>, _>(column).unwrap()),
            );
        }
    }
    values
}

/// Every value of the control file and of these tenants' files.
async fn dump(store: &SqliteStore, tenants: &[&Tenant]) -> BTreeSet<Vec<u8>> {
    let mut values = values_of_control(store).await;
    for tenant in tenants {
        values.append(&mut self::values(store.read(&context(tenant)).await.unwrap().conn()).await);
    }
    values
}

async fn values_of_control(store: &SqliteStore) -> BTreeSet<Vec<u8>> {
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    values(unit.conn()).await
}

/// The strings that a thief can derive from a stored value: its texts and encodings, whole and in parts.
fn spellings(value: &[u8]) -> BTreeSet<String> {
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut spellings =
        BTreeSet::from([URL_SAFE_NO_PAD.encode(value), STANDARD.encode(value), hex.to_uppercase(), hex]);
    if let Ok(text) = std::str::from_utf8(value) {
        spellings.insert(text.to_owned());
        let parts = text.split(|char: char| !char.is_ascii_alphanumeric() && !"-_.".contains(char));
        spellings.extend(parts.map(str::to_owned));
    }
    spellings
}

/// The forms of a token to search for: the token, its random part, and the bytes of that part, also as hex.
fn forms(token: &str) -> Vec<Vec<u8>> {
    let secret = token.rsplit('.').next().unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(secret).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        token.into(),
        secret.into(),
        STANDARD.encode(&bytes).into(),
        hex.to_uppercase().into(),
        hex.into(),
        bytes,
    ]
}

/// A text with one character per byte, to search in.
fn searchable(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The tokens with a form in one of the values.
fn found<'a>(values: &BTreeSet<Vec<u8>>, tokens: &'a [String]) -> Vec<&'a str> {
    let values: Vec<String> = values.iter().map(|value| searchable(value)).collect();
    let stored = |form: Vec<u8>| {
        let form = searchable(&form);
        values.iter().any(|value| value.contains(&form))
    };
    tokens.iter().filter(|token| forms(token).into_iter().any(stored)).map(String::as_str).collect()
}

/// The raw content of all files under a directory, except the secrets.
fn files(directory: &Path) -> BTreeSet<Vec<u8>> {
    let entries =
        [directory.to_owned(), directory.join("tenants")].map(|path| std::fs::read_dir(path).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap()).collect()
}

struct App {
    store: SqliteStore,
    tenancy: Tenancy,
    tenants: [Tenant; 2],
    realms: Vec<Context>,
}

fn naming(tenant: &Tenant) -> RequestFacts {
    RequestFacts { tenant_keys: vec![tenant.id.into()], ..RequestFacts::default() }
}

impl App {
    async fn in_directory(directory: &tempfile::TempDir) -> Self {
        let store = open(SqliteStore::builder(&common::url(directory))).await;
        let tenants = [provisioned(&store, "acme").await, provisioned(&store, "globex").await];
        let tenancy = Tenancy::builder(store.clone()).without_background_work().build().unwrap();
        let mut realms = vec![tenancy.access().context(&RequestFacts::default()).await.unwrap()];
        for tenant in &tenants {
            realms.push(tenancy.access().context(&naming(tenant)).await.unwrap());
        }
        Self { store, tenancy, tenants, realms }
    }

    async fn sign_in(&self, realm: &Context) -> SignedIn {
        let email = "ada@example.com".to_owned();
        let registration =
            Registration { email: email.parse().unwrap(), password: PASSWORD.into(), full_name: None };
        // The second time, they exist.
        drop(self.tenancy.accounts().register(realm, registration).await);
        let credentials = Credentials { email, password: PASSWORD.into() };
        self.tenancy
            .accounts()
            .log_in(realm, credentials, Client::default())
            .await
            .unwrap()
            .complete()
            .unwrap()
    }

    async fn refresh(&self, token: &str) -> multitenancy_core::Result<SignedIn> {
        self.tenancy.accounts().refresh(&token.into(), &RequestFacts::default()).await
    }
}

/// S61: no stored value is, contains or composes a token: no form of a live or a used token is found, and every value
/// of every column, in every encoding, is refused as a refresh token and as an access token.
#[tokio::test]
async fn s61_database_contains_no_token() {
    let directory = tempfile::tempdir().unwrap();
    let app = App::in_directory(&directory).await;
    let (mut live, mut tokens, mut bearers) = (Vec::new(), Vec::new(), Vec::new());
    for realm in app.realms.iter().chain(&app.realms) {
        let first = app.sign_in(realm).await;
        let next = app.refresh(first.refresh_token.expose()).await.unwrap();
        tokens.extend([&first, &next].map(|signed_in| signed_in.refresh_token.expose().to_owned()));
        bearers.extend([&first, &next].map(|signed_in| signed_in.access_token.expose_secret().to_owned()));
        live.push(next);
    }

    let values = dump(&app.store, &app.tenants.each_ref()).await;
    assert!(values.len() > 100, "only {} values were read", values.len());
    for secrets in [&tokens, &bearers] {
        assert_eq!(found(&values, secrets), [""; 0], "in a column");
        assert_eq!(found(&files(directory.path()), secrets), [""; 0], "in a file");
    }

    let planes: Vec<String> = app.realms.iter().map(|realm| realm.plane().to_string()).collect();
    let mut offered = 0;
    for spelling in values.iter().flat_map(|value| spellings(value)).collect::<BTreeSet<_>>() {
        // As it is, and in place of a token's random part.
        let made_up = planes.iter().map(|plane| format!("rt.{plane}.{spelling}"));
        for token in made_up.chain([spelling.clone()]) {
            let refused = app.refresh(&token).await.unwrap_err();
            assert_eq!(
                (refused.kind(), refused.code()),
                (ErrorKind::Unauthenticated, "invalid_refresh_token")
            );
            let refused =
                app.tenancy.access().authenticate(&token, &RequestFacts::default()).await.unwrap_err();
            assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unauthenticated, "invalid_token"));
            offered += 1;
        }
    }
    assert!(offered > 1_000, "only {offered} were offered");

    // The controls: real tokens are accepted, and a stored token is found, in each form.
    for signed_in in &live {
        app.tenancy
            .access()
            .authenticate(signed_in.access_token.expose_secret(), &RequestFacts::default())
            .await
            .unwrap();
        app.refresh(signed_in.refresh_token.expose()).await.unwrap();
    }
    for form in forms(&tokens[0]) {
        let mut tx = app.store.begin(&context(&app.tenants[0])).await.unwrap();
        sqlx::query("INSERT INTO notes (text) VALUES (CAST($1 AS TEXT))")
            .bind(form)
            .execute(tx.conn())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(found(&dump(&app.store, &app.tenants.each_ref()).await, &tokens), [&tokens[0]]);
        assert_eq!(found(&files(directory.path()), &tokens), [&tokens[0]]);
        let mut tx = app.store.begin(&context(&app.tenants[0])).await.unwrap();
        sqlx::query("DELETE FROM notes").execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// S70: a refresh token works only to refresh, on its plane, once: it is not an access token, and an access token is
/// not a refresh token; no other plane accepts it, whether named or written into it; its successor invalidates it.
#[tokio::test]
async fn s70_token_works_for_one_purpose_and_plane() {
    let directory = tempfile::tempdir().unwrap();
    let app = App::in_directory(&directory).await;
    for realm in &app.realms {
        let signed_in = app.sign_in(realm).await;
        let (access, refresh) = (signed_in.access_token.expose_secret(), signed_in.refresh_token.expose());
        let none = RequestFacts::default();
        assert_eq!(
            app.tenancy.access().authenticate(refresh, &none).await.unwrap_err().code(),
            "invalid_token"
        );
        assert_eq!(app.refresh(access).await.unwrap_err().code(), "invalid_refresh_token");

        let own = realm.plane();
        for other in app.realms.iter().map(Context::plane).filter(|other| *other != own) {
            let rewritten = refresh.replace(&own.to_string(), &other.to_string());
            assert_ne!(rewritten, refresh);
            assert_eq!(app.refresh(&rewritten).await.unwrap_err().code(), "invalid_refresh_token");
            if let Plane::Tenant(id) = other {
                let facts = RequestFacts { tenant_keys: vec![id.into()], ..RequestFacts::default() };
                let refused = app.tenancy.accounts().refresh(&refresh.into(), &facts).await.unwrap_err();
                assert_eq!(refused.code(), "tenant_mismatch");
            }
            let made_up = SecretToken::generate(Purpose::Refresh, other, app.tenancy.environment());
            assert_eq!(app.refresh(made_up.expose()).await.unwrap_err().code(), "invalid_refresh_token");
        }
        let successor = app.refresh(refresh).await.unwrap();
        assert_eq!(app.refresh(refresh).await.unwrap_err().code(), "invalid_refresh_token");
        app.refresh(successor.refresh_token.expose()).await.unwrap();
    }
}

/// S62, S70: of fifty concurrent uses of one token, one gets a successor.
#[tokio::test(flavor = "multi_thread")]
async fn s70_concurrent_refresh_succeeds_once() {
    let directory = tempfile::tempdir().unwrap();
    let app = App::in_directory(&directory).await;
    let mut signed_in = app.sign_in(&app.realms[1]).await;
    for _ in 0..rounds(5) {
        let mut callers = JoinSet::new();
        for _ in 0..50 {
            let (tenancy, token) = (app.tenancy.clone(), signed_in.refresh_token.expose().into());
            callers.spawn(async move { tenancy.accounts().refresh(&token, &RequestFacts::default()).await });
        }
        let (mut answered, refused): (Vec<_>, Vec<_>) =
            callers.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((answered.len(), refused.len()), (1, 49));
        assert!(
            refused
                .iter()
                .all(|outcome| outcome.as_ref().is_err_and(|e| e.code() == "invalid_refresh_token"))
        );
        signed_in = answered.pop().unwrap().unwrap();
    }
}
