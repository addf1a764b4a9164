use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use multitenancy_core::{Environment, Isolation, Store};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::{DurableHarness, Harness};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::template;

/// Opens each store in its own database, which is dropped with the harness.
pub struct Server {
    isolation: Isolation,
    databases: Mutex<Vec<String>>,
    roles: Mutex<Vec<String>>,
}

/// The server, with a role that may create databases and roles.
pub fn server_url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL names a PostgreSQL server: run `cargo xtask test`")
}

/// The URL of another database on that server.
pub fn url(database: &str) -> String {
    let server = server_url();
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{base}/{database}")
}

impl Server {
    pub fn new(isolation: Isolation) -> Self {
        Self { isolation, databases: Mutex::default(), roles: Mutex::default() }
    }

    /// A new database, which is dropped with this value.
    pub async fn create(&self) -> String {
        let database = format!("test_{}", Environment::system().uuid().simple());
        execute(&server_url(), format!("CREATE DATABASE {database}")).await;
        // A crash of this server may lose test data: commits do not wait for the disk.
        execute(&server_url(), format!("ALTER DATABASE {database} SET synchronous_commit TO off")).await;
        self.databases.lock().unwrap().push(database.clone());
        database
    }

    /// A new database in which the framework has made what it needs, which is dropped with this.
    pub async fn create_made(&self) -> String {
        let make = async |url: &str| drop(PgStore::builder(url).connect().await.unwrap());
        self.create_like("framework", make).await
    }

    /// A new database in which `make` has made what `kind` needs: once in a run, where templates are kept.
    pub async fn create_like(&self, kind: &str, make: impl AsyncFnOnce(&str)) -> String {
        if !template::kept() {
            let database = self.create().await;
            make(&url(&database)).await;
            return database;
        }
        let database = format!("test_{}", Environment::system().uuid().simple());
        template::copy(kind, &database, make).await;
        self.databases.lock().unwrap().push(database.clone());
        database
    }

    /// Drops these roles too, after the databases.
    pub fn drop_roles_too(&self, roles: Vec<String>) {
        self.roles.lock().unwrap().extend(roles);
    }

    /// The database of the last opened store.
    pub fn last(&self) -> String {
        self.databases.lock().unwrap().last().unwrap().clone()
    }

    /// Another store in an existing database, as the next process would open it.
    pub async fn store(&self, database: &str) -> Arc<dyn Store> {
        let builder = PgStore::builder(&url(database)).default_isolation(self.isolation);
        Arc::new(builder.connect().await.unwrap())
    }
}

#[async_trait]
impl Harness for Server {
    async fn open(&self) -> Arc<dyn Store> {
        self.store(&self.create_made().await).await
    }
}

#[async_trait]
impl DurableHarness for Server {
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        drop(store);
        self.store(&self.last()).await
    }
}

impl Drop for Server {
    /// Drops the databases, and those of the tenants in them.
    fn drop(&mut self) {
        let databases = std::mem::take(&mut *self.databases.lock().unwrap());
        let roles = std::mem::take(&mut *self.roles.lock().unwrap());
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for database in databases {
                    for tenant in tenants(&url(&database)).await {
                        let drop = format!("DROP DATABASE IF EXISTS tenant_{} WITH (FORCE)", tenant.simple());
                        execute(&server_url(), drop).await;
                    }
                    execute(&server_url(), format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await;
                }
                for role in roles {
                    execute(&server_url(), format!("DROP ROLE IF EXISTS {role}")).await;
                }
            });
        });
        // A test that fails is already telling why.
        let _cleaned = cleaning.join();
    }
}

async fn tenants(url: &str) -> Vec<Uuid> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = "SELECT substr(datname, 8)::uuid FROM pg_database WHERE datname LIKE 'tenant\\_%' \
               AND substr(datname, 8)::uuid IN (SELECT id FROM multitenancy_tenants)";
    sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap_or_default()
}

pub async fn execute(url: &str, sql: String) {
    run(&mut PgConnection::connect(url).await.unwrap(), sql).await;
}

pub async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}
