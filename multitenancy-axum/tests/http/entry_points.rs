//! S8: what the extractors give is one tenant's, and nothing of another is there with it.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, http::Method, routing::get};
use multitenancy_axum::{
    Authorized, CurrentContext, CurrentTenant, CurrentUser, PlatformUser, RequestLayer, Tenancy,
};
use multitenancy_core::{Context, ControlContext, Plane, Role, TenantContext};
use multitenancy_testkit::{fixtures, isolation::assert_apart};

use crate::support::{Api, Call, World};

multitenancy_core::permissions! {
    ReadNotes = "read_notes";
}

/// What the handlers were given.
#[derive(Clone, axum::extract::FromRef)]
struct App {
    tenancy: Tenancy,
    given: Given,
}

type Given = Arc<Mutex<Vec<Context>>>;

fn keep(given: &Given, context: &TenantContext) {
    given.lock().unwrap().push(Context::Tenant(context.clone()));
}

async fn tenant(State(given): State<Given>, tenant: CurrentTenant) {
    keep(&given, &tenant);
}

async fn user(State(given): State<Given>, user: CurrentUser) {
    keep(&given, &user);
}

async fn allowed(State(given): State<Given>, user: Authorized<ReadNotes>) {
    keep(&given, &user);
}

async fn realm(State(given): State<Given>, realm: CurrentContext) {
    given.lock().unwrap().push(match &*realm {
        Context::Tenant(context) => Context::Tenant(context.clone()),
        Context::Control(context) => Context::Control(context.clone()),
    });
}

async fn platform(State(given): State<Given>, user: PlatformUser) {
    given.lock().unwrap().push(Context::Control(ControlContext::clone(&user)));
}

/// S8: every extractor, with a token and without, on the plane it says.
#[tokio::test]
async fn s8_extractors_keep_to_their_tenant() {
    let api = Api::with(|builder| builder.grant::<ReadNotes>(Role::MEMBER));
    let World { api, ada, ada_in_acme, carol_in_acme, .. } = World::of(api).await;
    let given = Given::default();
    let router = Router::new()
        .route("/tenant", get(tenant))
        .route("/user", get(user))
        .route("/allowed", get(allowed))
        .route("/realm", get(realm))
        .route("/platform", get(platform))
        .layer(RequestLayer::new(&api.tenancy))
        .with_state(App { tenancy: api.tenancy.clone(), given: given.clone() });
    let call = |path: &str| Call::new(router.clone(), Method::GET, path);
    for signed in [&ada_in_acme, &carol_in_acme] {
        for path in ["/tenant", "/user", "/allowed"] {
            call(path).token(&signed.access).answered(200).await;
        }
    }
    for path in ["/tenant", "/realm"] {
        call(path).tenant("acme").answered(200).await;
    }
    let inside = given.lock().unwrap().len();
    call("/realm").answered(200).await;
    call("/platform").token(&ada.access).answered(200).await;
    let given = given.lock().unwrap().clone();
    assert_eq!((inside, given.len()), (8, 10));

    let acme = Context::Tenant(api.system("acme").await);
    let globex = Context::Tenant(api.system("globex").await);
    for plane in [Plane::Control, acme.plane(), globex.plane()] {
        api.tenancy.relay().drain(plane).await.unwrap();
    }
    let store = &api.store;
    for (index, context) in given.iter().enumerate() {
        let (own, other) =
            if index < inside { (acme.plane(), fixtures::control()) } else { (Plane::Control, acme.clone()) };
        assert_eq!(context.plane(), own);
        for elsewhere in [&globex, &other] {
            assert_apart(store, context, elsewhere).await;
            assert_apart(store, elsewhere, context).await;
        }
    }
}
