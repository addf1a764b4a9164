use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::program::{Program, command};

/// The signing secret, which PostgreSQL requires.
const SECRET: &str = "7f0d3c6a-9b1e-4e58-8c27-5a6b90e1d2f4";

/// The database of one test, with the two roles of a deployment. Its drop removes them and the tenants' databases.
pub struct Database {
    name: String,
}

/// A schema with tables of the framework.
#[derive(Debug, Clone)]
struct Location {
    database: String,
    schema: String,
}

/// The statements that create the database of a deployment and its roles.
pub fn statements() -> impl Iterator<Item = &'static str> {
    let statements = include_str!("../../../../compose/roles.sql").split(";\n");
    // The first one has a comment above it.
    statements.map(|text| text.rsplit('\n').next().unwrap_or(text)).filter(|text| !text.is_empty())
}

/// The URL of the tests' server, with a superuser.
pub fn server_url() -> String {
    match std::env::var("DATABASE_URL") {
        Ok(url) if url.starts_with("postgres") => url,
        _ => panic!(
            "DATABASE_URL names no PostgreSQL server for the tests: run `cargo xtask test`, which finds one"
        ),
    }
}

impl Database {
    /// Runs the statements of docs/postgres.md and compose/roles.sql, with other names.
    pub async fn new() -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut server = connect(&server_url()).await;
        for statement in statements() {
            let statement = statement
                .replace("app_admin", &format!("{name}_admin"))
                .replace(" app ", &format!(" {name} "));
            execute(&mut server, statement.replace("'secret'", "'hunter2'")).await;
        }
        Self { name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL with the role that serves.
    pub fn url(&self) -> String {
        self.url_as(&format!("{}:hunter2", self.name))
    }

    /// The URL with the role that migrates.
    pub fn admin_url(&self) -> String {
        self.url_as(&format!("{}_admin:hunter2", self.name))
    }

    /// The URL with the role of the tests.
    pub fn privileged_url(&self) -> String {
        on(&server_url(), &self.name)
    }

    fn url_as(&self, login: &str) -> String {
        let privileged = self.privileged_url();
        let (_, host) = privileged.split_once('@').unwrap();
        format!("postgres://{login}@{host}")
    }

    /// The server's program on this database, with both roles.
    pub fn command(&self, directory: &Path) -> Command {
        let mut command = command(directory);
        command
            .env("DATABASE_URL", self.url())
            .env("DATABASE_ADMIN_URL", self.admin_url())
            .env("JWT_SECRET", SECRET);
        command
    }

    pub fn start(&self, directory: &Path, variables: &[(&str, &str)]) -> Program {
        Program::run(self.command(directory).envs(variables.iter().copied()))
    }

    pub async fn execute(&self, sql: String) {
        execute(&mut self.connect(&self.name).await, sql).await;
    }

    async fn connect(&self, database: &str) -> PgConnection {
        connect(&on(&server_url(), database)).await
    }

    /// The number of open connections of the role that serves.
    pub async fn connections(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
        let count = sqlx::query_scalar(sql).bind(&self.name);
        count.fetch_one(&mut self.connect(&self.name).await).await.unwrap()
    }

    /// The registered tenants: isolation and status of each, by the name of its storage.
    pub async fn registry(&self) -> BTreeMap<String, (String, String)> {
        let sql =
            "SELECT 'tenant_' || replace(id::text, '-', ''), isolation, status FROM multitenancy_tenants";
        let rows: Vec<(String, String, String)> =
            sqlx::query_as(sql).fetch_all(&mut self.connect(&self.name).await).await.unwrap();
        rows.into_iter().map(|(name, isolation, status)| (name, (isolation, status))).collect()
    }

    /// Asserts that every registered tenant is active and has its storage, and that no other storage exists.
    pub async fn assert_nothing_orphaned(&self) {
        let registry = self.registry().await;
        let incomplete: Vec<_> = registry.iter().filter(|(_, (_, status))| status != "active").collect();
        assert!(incomplete.is_empty(), "{incomplete:?}");
        let of = |isolation: &str| -> BTreeSet<String> {
            registry.iter().filter(|(_, (own, _))| own == isolation).map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(self.schemas().await, of("schema"), "schemas and tenants that have one");
        assert_eq!(self.databases().await, of("database"), "databases and tenants that have one");
        let sql = "SELECT 'tenant_' || replace(tenant_id::text, '-', '') FROM tenants.multitenancy_marker \
                   WHERE tenant_id <> '00000000-0000-0000-0000-000000000000'";
        let shared: Vec<String> =
            sqlx::query_scalar(sql).fetch_all(&mut self.connect(&self.name).await).await.unwrap();
        assert_eq!(shared.into_iter().collect::<BTreeSet<_>>(), of("shared"), "tenants in shared tables");
    }

    async fn schemas(&self) -> BTreeSet<String> {
        let sql = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'tenant\\_%'";
        let names: Vec<String> =
            sqlx::query_scalar(sql).fetch_all(&mut self.connect(&self.name).await).await.unwrap();
        names.into_iter().collect()
    }

    /// The tenants' databases. The migrating role of this test owns them.
    async fn databases(&self) -> BTreeSet<String> {
        let sql = "SELECT datname::text FROM pg_database JOIN pg_roles AS r ON r.oid = datdba \
                   WHERE rolname = $1 AND datname LIKE 'tenant\\_%'";
        let names = sqlx::query_scalar(sql).bind(format!("{}_admin", self.name));
        let names: Vec<String> = names.fetch_all(&mut connect(&server_url()).await).await.unwrap();
        names.into_iter().collect()
    }

    /// Runs `sql` on the outbox of each plane, which replaces `{outbox}`. Returns the sum of the results.
    pub async fn in_every_outbox(&self, sql: &str) -> i64 {
        let mut sum = 0;
        for Location { database, schema } in self.locations().await {
            let sql = sql.replace("{outbox}", &format!("{schema}.multitenancy_outbox"));
            let mut connection = self.connect(&database).await;
            let there: bool =
                sqlx::query_scalar("SELECT to_regclass($1 || '.multitenancy_outbox') IS NOT NULL")
                    .bind(&schema)
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
            if there {
                let counted = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql));
                sum += counted.fetch_one(&mut connection).await.unwrap();
            }
        }
        sum
    }

    async fn locations(&self) -> Vec<Location> {
        let here = |schema: &str| Location { database: self.name.clone(), schema: schema.to_owned() };
        let schemas = self.schemas().await;
        let mut locations: Vec<_> = ["public", "tenants"].into_iter().map(here).collect();
        locations.extend(schemas.iter().map(|schema| here(schema)));
        let databases = self.databases().await.into_iter();
        locations.extend(databases.map(|database| Location { database, schema: "public".to_owned() }));
        locations
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let database = Self { name };
                let mut server = connect(&server_url()).await;
                for tenant in database.databases().await {
                    execute(&mut server, format!("DROP DATABASE IF EXISTS {tenant} WITH (FORCE)")).await;
                }
                let name = &database.name;
                execute(&mut server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                execute(&mut server, format!("DROP ROLE IF EXISTS {name}, {name}_admin")).await;
                std::mem::forget(database);
            });
        });
        // A failed cleanup must not hide the failure of the test.
        let _cleaned = cleaning.join();
    }
}

/// The URL of another database on the same server.
fn on(server: &str, database: &str) -> String {
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{database}")
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}
