//! A project tracker in which every request belongs to exactly one tenant.
mod project;

use axum::{Router, extract::FromRef, extract::State, http::StatusCode, routing::get};
use multitenancy::axum::{Authorized, Json, Problem, RequestLayer, Tenancy};
use multitenancy::{Role, sqlx::SqliteStore};
use project::{NewProject, Project, ProjectCreated, ReadProjects, WriteProjects};
use uuid::Uuid;

#[derive(Clone, FromRef)]
struct App {
    tenancy: Tenancy,
    store: SqliteStore,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let migrations = sqlx::migrate!("migrations/sqlite");
    let store = SqliteStore::builder("sqlite:tracker-data").tenant_migrations(migrations).connect().await?;
    store.migrate().await?;
    let tenancy = Tenancy::builder(store.clone())
        .grant::<ReadProjects>(Role::GUEST)
        .grant::<WriteProjects>(Role::MEMBER)
        .subscribe(project::announcer()?)
        .build()?;
    let app = Router::new()
        .nest("/api/v1", multitenancy::axum::routes(&tenancy))
        .route("/projects", get(list).post(create))
        .layer(RequestLayer::new(&tenancy))
        .with_state(App { tenancy, store });
    let address = std::env::var("ADDRESS").unwrap_or("127.0.0.1:8080".into());
    Ok(axum::serve(tokio::net::TcpListener::bind(address).await?, app).await?)
}

async fn create(
    caller: Authorized<WriteProjects>,
    State(store): State<SqliteStore>,
    Json(new): Json<NewProject>,
) -> Result<(StatusCode, Json<Project>), Problem> {
    let insert = sqlx::query_as("INSERT INTO projects (id, name) VALUES ($1, $2) RETURNING id, name");
    let mut tx = store.begin(&caller).await?;
    let project: Project = insert.bind(Uuid::now_v7()).bind(new.name).fetch_one(tx.conn()).await?;
    tx.publish(ProjectCreated { id: project.id }).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(project)))
}

async fn list(
    caller: Authorized<ReadProjects>,
    State(store): State<SqliteStore>,
) -> Result<Json<Vec<Project>>, Problem> {
    let mut tx = store.read(&caller).await?;
    Ok(Json(sqlx::query_as("SELECT id, name FROM projects ORDER BY id").fetch_all(tx.conn()).await?))
}
