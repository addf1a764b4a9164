use std::io;

use axum::{
    Router,
    http::{Method, StatusCode},
    routing::get,
};
use multitenancy_axum::{Path, Problem, RequestLayer, routes};
use multitenancy_core::{Error, ErrorKind};
use serde_json::json;

use crate::{
    document::operations,
    support::{
        Api, Call, PASSWORD, World,
        probe::{LEAK, Probe},
    },
};

#[tokio::test]
async fn unknown_path_is_a_problem() {
    let api = Api::new();
    for path in
        ["/", "/nowhere", "/api/v1", "/api/v1/", "/api/v1/nowhere", "/api/v2/users/me", "/docs/nowhere"]
    {
        let problem = api.call(Method::GET, path).refused(404, "not_found").await;
        assert_eq!(problem["instance"], path);
        assert_eq!(problem["title"], "Not found");
    }
    let answer = api.get("/auth/login").send().await;
    answer.refused(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    api.call(Method::DELETE, "/health").refused(405, "method_not_allowed").await;
    api.call(Method::POST, "/docs").refused(405, "method_not_allowed").await;
    let head = api.call(Method::HEAD, "/nowhere").send().await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (404, 0));
}

/// S109: whatever goes wrong below, the client learns that something did.
#[tokio::test]
async fn s109_errors_hide_their_cause() {
    let (api, probe) = Probe::api(|builder| builder);
    let world = World::of(api).await;
    probe.break_down();
    world.api.turn_clock(2);
    let bodies = json!({ "name": "Initech", "tenant": "acme", "refresh_token": world.ada.refresh,
        "email": "x@example.com", "password": PASSWORD, "phone": "1" });
    let body_of = |path: &str| {
        let fields: &[&str] = match path.rsplit('/').next().unwrap() {
            "register" | "login" => &["email", "password"],
            "refresh" => &["refresh_token"],
            "switch" => &["tenant"],
            "organizations" => &["name"],
            _ => &["phone"],
        };
        serde_json::Value::from_iter(fields.iter().map(|field| (*field, bodies[*field].clone())))
    };
    let mut failed = 0;
    for operation in operations() {
        let call = world.api.call(operation.method, &operation.path);
        let call = if operation.public { call } else { call.token(&world.ada.access) };
        let answer = call.json(body_of(&operation.path)).send().await;
        for word in ["UNIQUE", "secret", ".sql", "/var", "forged", "constraint"] {
            let shown = format!("{:?}{}", answer.headers, answer.text());
            assert!(!shown.contains(word), "{answer:?}");
        }
        if operation.path.starts_with("/api") {
            let problem = answer.refused(500, "internal_error");
            assert_eq!(problem["detail"], "something went wrong on our side");
            failed += 1;
        }
    }
    assert_eq!(failed, 13);
    world.api.call(Method::GET, "/health").answered(503).await;
    world.api.call(Method::GET, "/health/ready").answered(503).await;
    world.api.call(Method::GET, "/health/live").answered(200).await;
}

/// An application's handlers, and what they may answer with.
fn application(api: &Api) -> Router {
    async fn surprise() -> Result<(), Problem> {
        Err(io::Error::other(LEAK))?
    }
    async fn unknown() -> Result<(), Problem> {
        Err(Error::new(ErrorKind::Unknown, "commit_unknown", "it may have been done, or not")
            .with_source(LEAK))?
    }
    async fn misconfigured() -> Result<(), Problem> {
        Err(Error::config(LEAK))?
    }
    async fn busy() -> Result<(), Problem> {
        Err(Error::overloaded("too much at once", std::time::Duration::from_millis(1_200)))?
    }
    async fn own() -> Result<(), Problem> {
        Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "trial_ended", "the trial has ended"))
    }
    Router::new()
        .route("/surprise", get(surprise))
        .route("/misconfigured", get(misconfigured))
        .route("/unknown", get(unknown))
        .route("/busy", get(busy))
        .route("/own", get(own))
        .route("/pair/{a}/{b}", get(async |Path(_): Path<u8>| "never"))
        .route("/bare", get(async || StatusCode::CONFLICT))
        .route("/teapot", get(async || StatusCode::IM_A_TEAPOT))
        .route("/text", get(async || (StatusCode::BAD_REQUEST, "as the handler says")))
        .nest("/nested", Router::new().route("/own", get(own)))
        .nest("/api", routes(&api.tenancy))
}

#[tokio::test]
async fn handlers_answer_with_own_problems() {
    let api = Api::new();
    let router = application(&api).layer(RequestLayer::new(&api.tenancy));
    let get = |path: &str| Call::new(router.clone(), Method::GET, path);
    for path in ["/surprise", "/misconfigured"] {
        let answer = get(path).send().await;
        answer.refused(500, "internal_error");
        assert!(!answer.text().contains("UNIQUE"));
    }
    let answer = get("/unknown").send().await;
    answer.refused(500, "commit_unknown");
    assert!(!answer.text().contains("UNIQUE"));
    let answer = get("/busy").send().await;
    answer.refused(503, "overloaded");
    assert_eq!(answer.header("retry-after"), Some("2"));
    let problem = get("/nested/own?secret=1").refused(402, "trial_ended").await;
    assert_eq!(problem["title"], "Trial ended");
    assert_eq!(problem["instance"], "/nested/own");
    get("/bare").refused(409, "conflict").await;
    get("/teapot").refused(418, "request_refused").await;
    get("/nowhere").refused(404, "not_found").await;
    get("/pair/1/2").refused(500, "internal_error").await;
    let text = get("/text").send().await;
    assert_eq!((text.status.as_u16(), text.text()), (400, "as the handler says"));
    assert_eq!(get("/api/users/me").refused(401, "unauthenticated").await["instance"], "/api/users/me");
}

#[tokio::test]
async fn problem_needs_no_layer() {
    let api = Api::new();
    let router = application(&api);
    let answer = Call::new(router.clone(), Method::GET, "/own").send().await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(
        answer.expect(402),
        json!({ "type": "urn:problem:trial_ended", "title": "Trial ended", "status": 402, "code": "trial_ended",
            "detail": "the trial has ended" })
    );
    let nested = Call::new(router, Method::GET, "/api/users/me").send().await.refused(401, "unauthenticated");
    assert_eq!(nested["instance"], "/api/users/me", "the framework's routes bring the layer along");
}
