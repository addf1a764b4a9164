use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    http::{Method, header},
    routing::get,
};
use multitenancy_axum::{CurrentUser, RequestLayer};
use serde_json::json;

use crate::{
    document::operations,
    support::{Api, Call, World},
};

/// E9: one handler's panic is one answer's 500, and the next thousand requests are served.
#[tokio::test]
async fn e9_panic_answers_500_alone() {
    async fn at_once() -> &'static str {
        panic!("secret of the handler")
    }
    async fn later() -> &'static str {
        tokio::task::yield_now().await;
        std::panic::panic_any(7)
    }
    let api = Api::new();
    let broken_layer = tower::util::MapRequestLayer::new(|request: axum::extract::Request| {
        assert!(request.uri().path() != "/layer", "secret of the layer");
        request
    });
    let router = Router::new()
        .route("/at-once", get(at_once))
        .route("/later", get(later))
        .route("/layer", get(async || "never"))
        .route("/well", get(async || "well"))
        .layer(broken_layer)
        .layer(RequestLayer::new(&api.tenancy));
    let call = |path: &str| Call::new(router.clone(), Method::GET, path);
    for path in ["/at-once", "/later", "/layer"] {
        let answer = call(path).send().await;
        answer.refused(500, "internal_error");
        assert!(!answer.text().contains("secret of"));
    }
    for _ in 0..1_000 {
        assert_eq!(call("/well").send().await.text(), "well");
    }
}

#[tokio::test]
async fn slow_handler_times_out() {
    let api = Api::new();
    let router = Router::new()
        .route("/slow", get(async || tokio::time::sleep(Duration::from_secs(3600)).await))
        .layer(RequestLayer::with_timeout(&api.tenancy, Duration::from_millis(20)));
    Call::new(router, Method::GET, "/slow").refused(503, "timeout").await;
}

/// E17, and what a browser is told: on every answer of every endpoint.
#[tokio::test]
async fn e17_answers_forbid_caching_and_set_vary() {
    let api = Api::new();
    for operation in operations() {
        let answer = api.call(operation.method, operation.path).send().await;
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::VARY, "authorization, host, x-tenant-id, x-tenant, x-tenant-slug"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.headers.get_all(&name).iter().count(), 1, "{name}");
            assert_eq!(answer.header(name.as_str()), Some(value), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn handler_sets_cache_control() {
    let api = Api::new();
    let handler = get(async || ([("cache-control", "public, max-age=60"), ("vary", "accept")], "text"));
    let router = Router::new().route("/", handler).layer(RequestLayer::new(&api.tenancy));
    let answer = Call::new(router, Method::GET, "/").send().await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(answer.headers.get_all("vary").iter().count(), 2);
}

/// S113: an identifier comes back as it was sent, if it can stand in a log; else there is a new one.
#[tokio::test]
async fn s113_request_ids_are_kept_or_generated() {
    let api = Api::new();
    let id = async |values: &[&[u8]]| {
        let mut call = api.call(Method::GET, "/health/live");
        for value in values {
            call = call.header("x-request-id", value);
        }
        call.send().await.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id(&[b"abc-123"]).await, "abc-123");
    assert_eq!(id(&[&[b'x'; 128]]).await, "x".repeat(128));
    let long = [b'x'; 129];
    let refused: [&[&[u8]]; 8] = [
        &[],
        &[b""],
        &[b"two words"],
        &[b"tab\there"],
        &[b"\xe2\x80\xaebidi"],
        &[b"caf\xc3\xa9"],
        &[&long],
        &[b"one", b"two"],
    ];
    for values in refused {
        let id = id(values).await;
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{values:?} became {id}");
    }
}

#[tokio::test]
async fn request_id_reaches_the_unit_of_work() {
    async fn id(user: CurrentUser) -> String {
        user.origin().request_id.as_ref().unwrap().to_string()
    }
    let World { api, carol_in_acme, .. } = World::new().await;
    let bare = Router::new().route("/", get(id)).with_state(api.tenancy.clone());
    let ask = |router: &Router| Call::new(router.clone(), Method::GET, "/").token(&carol_in_acme.access);
    let layered = bare.clone().layer(RequestLayer::new(&api.tenancy));
    assert_eq!(ask(&layered).header("x-request-id", "mine").send().await.text(), "mine");
    let made = ask(&layered).send().await;
    assert_eq!(Some(made.text()), made.header("x-request-id"));
    assert_eq!(ask(&bare).header("x-request-id", "mine").send().await.text(), "mine");
}

#[tokio::test]
async fn nested_layer_does_nothing() {
    let api = Api::new();
    let count = Arc::new(AtomicUsize::new(0));
    let handler = get(async |Extension(count): Extension<Arc<AtomicUsize>>| {
        count.fetch_add(1, Ordering::Relaxed);
        "once"
    });
    let layer = RequestLayer::new(&api.tenancy);
    let router = Router::new().route("/", handler).layer(Extension(count.clone()));
    let router = router.layer(layer.clone()).layer(layer.clone()).layer(layer);
    let answer = Call::new(router, Method::GET, "/").send().await;
    assert_eq!(answer.text(), "once");
    assert_eq!(answer.headers.get_all("vary").iter().count(), 1);
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

/// A deadline does not keep a client's slow body from being refused, nor the next from being served.
#[tokio::test]
async fn endless_body_is_bounded() {
    let api = Api::new();
    let router = multitenancy_axum::app_with(
        &api.tenancy,
        &multitenancy_axum::AppConfig { timeout: Duration::from_millis(30), ..Default::default() },
    )
    .unwrap();
    let endless = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
    let mut request = Call::new(router.clone(), Method::POST, "/api/v1/auth/login")
        .header("content-type", "application/json")
        .request();
    *request.body_mut() = axum::body::Body::from_stream(endless);
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(response.status().as_u16(), 503);
    api.post("/auth/login")
        .json(json!({ "email": "x", "password": "y" }))
        .refused(401, "invalid_credentials")
        .await;
}
