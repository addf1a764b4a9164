use axum::{
    Router,
    extract::{FromRef, State},
    http::Method,
    routing::{get, post},
};
use multitenancy_axum::{
    Authenticated, Authorized, CurrentContext, CurrentTenant, CurrentUser, Json, Path, PlatformUser, Problem,
    RequestLayer, Tenancy,
};
use multitenancy_core::{Role, UserId, memory::MemoryStore, tenant::TenantStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{Api, Call, World};

multitenancy_core::permissions! {
    WriteProjects = "write_projects";
    DeleteProjects = "delete_projects";
}

/// An application's own state, of which the tenancy is a part.
#[derive(Clone, FromRef)]
struct App {
    tenancy: Tenancy,
    greeting: &'static str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Project {
    name: String,
}

async fn create(
    caller: Authorized<WriteProjects>,
    State(tenancy): State<Tenancy>,
    Json(new): Json<Project>,
) -> Result<Json<Project>, Problem> {
    let unit = tenancy.store().begin(&caller).await?;
    assert_eq!(unit.plane().tenant(), Some(caller.tenant_id()));
    unit.commit().await?;
    Ok(Json(Project { name: format!("{} of {}", new.name, caller.tenant().slug) }))
}

async fn remove(_: Authorized<DeleteProjects>, Path(id): Path<UserId>) -> String {
    id.to_string()
}

/// Every extractor at once: they agree.
async fn everything(
    State(greeting): State<&'static str>,
    tenant: CurrentTenant,
    anyone: Authenticated,
    user: CurrentUser,
    allowed: Authorized<WriteProjects>,
) -> String {
    assert_eq!(tenant.tenant_id(), user.tenant_id());
    assert_eq!((anyone.user_id(), allowed.user_id()), (user.user_id(), user.user_id()));
    assert_eq!(allowed.roles(), user.caller().roles());
    format!("{greeting} {}", user.tenant().slug)
}

async fn platform(user: PlatformUser, State(tenancy): State<Tenancy>) -> Result<String, Problem> {
    drop(tenancy.store().read_control(&user).await?);
    Ok(user.caller().user_id().to_string())
}

async fn realm(realm: CurrentContext) -> String {
    realm.tenant().map_or("platform".to_owned(), |tenant| tenant.slug.to_string())
}

fn router(api: &Api) -> Router {
    Router::new()
        .route("/projects", post(create))
        .route("/projects/{id}", get(remove))
        .route("/everything", get(everything))
        .route("/platform", get(platform))
        .route("/realm", get(realm))
        .layer(RequestLayer::new(&api.tenancy))
        .with_state(App { tenancy: api.tenancy.clone(), greeting: "hello" })
}

async fn world() -> World {
    World::of(Api::with(|builder| {
        builder.grant::<WriteProjects>(Role::MEMBER).grant::<DeleteProjects>(Role::ADMIN)
    }))
    .await
}

#[tokio::test]
async fn extractor_admits_authorized_callers() {
    let World { api, ada, ada_in_acme, carol_in_acme, .. } = world().await;
    let router = router(&api);
    let call = |method: Method, path: &str| Call::new(router.clone(), method, path);
    let create = || call(Method::POST, "/projects").json(json!({ "name": "engine" }));
    let id = carol_in_acme.id().to_string();
    let remove = |id: &str| call(Method::GET, &format!("/projects/{id}"));

    let made = create().token(&carol_in_acme.access).answered(200).await;
    assert_eq!(made, json!({ "name": "engine of acme" }));
    create().refused(401, "unauthenticated").await;
    create().token("forged").refused(401, "invalid_token").await;
    create().token(&ada.access).refused(403, "wrong_scope").await;
    create().token(&carol_in_acme.access).tenant("globex").refused(403, "tenant_mismatch").await;
    let problem = call(Method::POST, "/projects").token(&carol_in_acme.access).json(json!({ "id": 1 }));
    problem.refused(422, "validation_failed").await;

    remove(&id).token(&carol_in_acme.access).refused(403, "permission_denied").await;
    assert_eq!(remove(&id).token(&ada_in_acme.access).send().await.text(), id);
    remove("x").token(&ada_in_acme.access).refused(404, "not_found").await;
    remove("%ff").token(&ada_in_acme.access).refused(404, "not_found").await;
    remove("x").refused(401, "unauthenticated").await;

    api.set_user("acme", &carol_in_acme, &[Role::ADMIN], true).await;
    assert_eq!(remove(&id).token(&carol_in_acme.access).send().await.text(), id, "roles are the store's");
    api.set_user("acme", &carol_in_acme, &[Role::GUEST], true).await;
    create().token(&carol_in_acme.access).refused(403, "permission_denied").await;
    api.set_status("acme", TenantStatus::Active, TenantStatus::Canceled).await;
    create().token(&ada_in_acme.access).refused(403, "tenant_inactive").await;
}

#[tokio::test]
async fn extractors_combine_in_one_handler() {
    let World { api, ada, carol_in_acme, .. } = world().await;
    let router = router(&api);
    let call = |path: &str| Call::new(router.clone(), Method::GET, path);
    assert_eq!(call("/everything").token(&carol_in_acme.access).send().await.text(), "hello acme");
    call("/everything").refused(400, "tenant_required").await;
    call("/everything").tenant("acme").refused(401, "unauthenticated").await;
    call("/everything").token(&ada.access).refused(403, "wrong_scope").await;
    call("/platform").token(&carol_in_acme.access).refused(403, "wrong_scope").await;
    assert_eq!(call("/platform").token(&ada.access).send().await.text(), ada.id().to_string());
    assert_eq!(call("/realm").token("stale").send().await.text(), "platform");
    assert_eq!(call("/realm").tenant("acme").send().await.text(), "acme");
    call("/realm").tenant("nowhere").refused(404, "tenant_not_found").await;
}

/// S57: one application's token is nothing in another's, which has keys of its own.
#[tokio::test]
async fn s57_token_is_valid_in_its_deployment_only() {
    let World { carol_in_acme, .. } = world().await;
    let other = Tenancy::builder(MemoryStore::default()).without_background_work().build().unwrap();
    let call = Call::new(multitenancy_axum::app(&other), Method::GET, "/api/v1/users/me");
    call.token(&carol_in_acme.access).refused(401, "invalid_token").await;
}
