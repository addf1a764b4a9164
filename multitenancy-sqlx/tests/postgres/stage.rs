//! A store of an application with its own tables, in its own database.

use multitenancy_core::{Isolation, Tenant};
use multitenancy_sqlx::{PgStore, PgStoreBuilder};
use multitenancy_testkit::fixtures::provisioned_in;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    migrator::migrations,
    server::{Server, server_url, url},
};

/// An application's tables, written as one would for itself alone, and protected.
pub const APPLICATION: &[&str] = &[
    "CREATE TABLE projects (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, code text UNIQUE);
     SELECT multitenancy.protect('projects')",
    "CREATE TABLE tasks (tenant_id uuid NOT NULL, id uuid PRIMARY KEY DEFAULT gen_random_uuid(), project_id uuid, title text,
         FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id) ON DELETE CASCADE);
     SELECT multitenancy.protect('tasks')",
    "CREATE TABLE entries (number bigint GENERATED ALWAYS AS IDENTITY, day date NOT NULL, PRIMARY KEY (number, day))
         PARTITION BY RANGE (day);
     CREATE TABLE entries_2026 PARTITION OF entries FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
     SELECT multitenancy.protect('entries')",
    "CREATE VIEW named_projects WITH (security_invoker = true) AS SELECT name FROM projects;
     GRANT SELECT ON named_projects TO multitenancy_app;
     CREATE TABLE countries (code text PRIMARY KEY); INSERT INTO countries VALUES ('CH')",
];

pub struct Stage {
    pub store: PgStore,
    pub database: String,
    roles: Vec<String>,
    server: Server,
}

impl Stage {
    /// With the tables of [`APPLICATION`].
    pub async fn new() -> Self {
        let server = Server::new(Isolation::Shared);
        let make = async |url: &str| builder(url).connect().await.unwrap().migrate().await.unwrap();
        let database = server.create_like("application", make).await;
        let store = builder(&url(&database)).connect().await.unwrap();
        Self { store, database, roles: Vec::new(), server }
    }

    pub fn builder(&self) -> PgStoreBuilder {
        builder(&url(&self.database))
    }

    /// Starts the program again.
    pub async fn start(&self) -> multitenancy_core::Result<PgStore> {
        self.builder().connect().await
    }

    /// As a superuser, in the control plane's database.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&url(&self.database)).await.unwrap()
    }

    pub async fn sql(&self, sql: impl Into<String>) {
        run(&mut self.connection().await, sql).await.unwrap();
    }

    /// A role of this test alone, and the URL with which it logs in.
    pub async fn login(&mut self, attributes: &str) -> (String, String) {
        let role = format!("{}_{}", self.database, self.roles.len());
        self.roles.push(role.clone());
        self.sql(format!("CREATE ROLE {role} LOGIN PASSWORD 'secret' {attributes}")).await;
        let (scheme, rest) =
            server_url().split_once("://").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let host = rest.rsplit_once('@').map_or(rest.as_str(), |(_, host)| host);
        let host = host.split('/').next().unwrap();
        (role.clone(), format!("{scheme}://{role}:secret@{host}/{}", self.database))
    }

    /// An active tenant with its storage.
    pub async fn tenant(&self, slug: &str, isolation: Isolation) -> Tenant {
        provisioned_in(&self.store, slug, isolation).await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.server.drop_roles_too(std::mem::take(&mut self.roles));
    }
}

/// Of a store with the tables of [`APPLICATION`].
pub fn builder(url: &str) -> PgStoreBuilder {
    PgStore::builder(url).tenant_migrations(migrations(APPLICATION)).reference_table("countries")
}

pub async fn run(connection: &mut PgConnection, sql: impl Into<String>) -> sqlx::Result<u64> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(connection).await?;
    Ok(done.rows_affected())
}

/// The one value that a query gives.
pub async fn value<T>(connection: &mut PgConnection, sql: impl Into<String>) -> sqlx::Result<T>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(AssertSqlSafe(sql.into())).fetch_one(connection).await
}
