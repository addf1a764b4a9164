//! The effect of one tenant's own SQL on another tenant, in any isolation: none, unless the statement sets the other
//! tenant's id, which `limits` shows. Each test has a control, in which the guard is removed and the same query finds
//! the leak.

mod codes;
mod definer;
mod limits;
mod places;
mod reuse;
mod rows;
mod scale;
mod unset;
mod verbs;

use multitenancy_core::{Isolation, Tenant};
use multitenancy_testkit::fixtures::context;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    server::url,
    stage::{Stage, run, value},
};

pub const ISOLATIONS: [Isolation; 3] = [Isolation::Shared, Isolation::Schema, Isolation::Database];

/// Two tenants of one isolation, each with a project and a task in it.
struct Pair {
    stage: Stage,
    a: Tenant,
    b: Tenant,
    project_of_a: Uuid,
    project_of_b: Uuid,
}

impl Pair {
    async fn new(isolation: Isolation) -> Self {
        let stage = Stage::new().await;
        let (a, b) = (stage.tenant("acme", isolation).await, stage.tenant("bolt", isolation).await);
        let (project_of_a, project_of_b) = (seed(&stage, &a).await, seed(&stage, &b).await);
        Self { stage, a, b, project_of_a, project_of_b }
    }

    /// The effect of A's statement, or the SQLSTATE that refuses it. The effect is committed.
    async fn as_a(&self, sql: &str) -> Result<u64, String> {
        let mut tx = self.stage.store.begin(&context(&self.a)).await.unwrap();
        let done = run(tx.conn(), sql.replace("{b}", &self.b.id.as_uuid().to_string()))
            .await
            .map_err(|e| code(&e))?;
        tx.commit().await.map_err(|error| error.to_string())?;
        Ok(done)
    }

    /// What B finds.
    async fn b_counts(&self, table: &str) -> i64 {
        let mut tx = self.stage.store.read(&context(&self.b)).await.unwrap();
        value(tx.conn(), format!("SELECT count(*) FROM {table}")).await.unwrap()
    }

    /// A superuser where the tenant's tables are.
    async fn owner(&self, tenant: &Tenant) -> PgConnection {
        owner(&self.stage, tenant).await
    }
}

/// A superuser where the tenant's tables are, which come first in its search path.
pub async fn owner(stage: &Stage, tenant: &Tenant) -> PgConnection {
    use sqlx::Connection;
    let name = format!("tenant_{}", tenant.id.as_uuid().simple());
    let (database, schema) = match tenant.isolation {
        Isolation::Shared => (&stage.database, "tenants"),
        Isolation::Schema => (&stage.database, name.as_str()),
        Isolation::Database => (&name, "public"),
    };
    let mut connection = PgConnection::connect(&url(database)).await.unwrap();
    run(&mut connection, format!("SET search_path TO {schema}")).await.unwrap();
    connection
}

async fn seed(stage: &Stage, tenant: &Tenant) -> Uuid {
    let mut tx = stage.store.begin(&context(tenant)).await.unwrap();
    let insert =
        "INSERT INTO projects (name, code) VALUES ('of ' || multitenancy.tenant_id(), 'first') RETURNING id";
    let project: Uuid = value(tx.conn(), insert).await.unwrap();
    run(tx.conn(), format!("INSERT INTO tasks (project_id, title) VALUES ('{project}', 'task')"))
        .await
        .unwrap();
    run(tx.conn(), "INSERT INTO entries (day) VALUES ('2026-03-01')").await.unwrap();
    tx.commit().await.unwrap();
    project
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code().map(Into::into)).unwrap_or_default()
}

/// Refused by row-level security, or for want of a privilege.
const REFUSED: &str = "42501";
