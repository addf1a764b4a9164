use axum::{
    Router,
    http::{Method, StatusCode},
};
use multitenancy_axum::{AppConfig, Peer, Problem, RequestLayer, app_with, docs, health, routes};
use serde_json::json;

use crate::support::{Api, Call, document, probe::Probe};

#[tokio::test]
async fn health_reports_store_status() {
    let (api, probe) = Probe::api(|builder| builder);
    let get = |path: &str| api.call(Method::GET, path);
    let version = env!("CARGO_PKG_VERSION");
    let standing = |word: &str| json!({ "status": word, "version": version, "checks": { "store": word } });
    for path in ["/health", "/health/ready"] {
        assert_eq!(get(path).answered(200).await, standing("ok"));
    }
    probe.break_down();
    for path in ["/health", "/health/ready"] {
        assert_eq!(get(path).answered(503).await, standing("unavailable"));
    }
    assert_eq!(get("/health/live").answered(200).await, json!({ "status": "ok" }));
    let named = get("/health").tenant("nowhere").token("none").send().await;
    assert_eq!(named.status.as_u16(), 503, "health belongs to nobody");
}

/// The page and all that it loads come from here, and the policy holds it to that.
#[tokio::test]
async fn docs_page_loads_only_own_files() {
    let api = Api::new();
    let get = |path: String| api.call(Method::GET, path);
    let redirect = get("/docs".into()).send().await;
    assert_eq!((redirect.status.as_u16(), redirect.header("location")), (303, Some("/docs/")));

    let page = get("/docs/".into()).send().await;
    assert_eq!(page.status.as_u16(), 200);
    assert_eq!(page.header("content-type"), Some("text/html"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("http"), "{policy}");
    let html = page.text();
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("src=\"//"), "{html}");
    let assets: Vec<&str> = html
        .split(['"', '\''])
        .filter(|text| [".js", ".css", ".png"].iter().any(|end| text.ends_with(end)))
        .collect();
    assert!(assets.len() >= 4, "{html}");
    for asset in assets {
        let path = format!("/docs/{}", asset.trim_start_matches("./"));
        let answer = get(path.clone()).send().await;
        assert_eq!(answer.status.as_u16(), 200, "{path}");
        let expected = match asset.rsplit('.').next().unwrap() {
            "js" => "text/javascript",
            "css" => "text/css",
            _ => "image/png",
        };
        assert_eq!(answer.header("content-type"), Some(expected), "{path}");
        assert!(!answer.bytes.is_empty());
    }
    let setup = get("/docs/swagger-initializer.js".into()).send().await;
    assert!(setup.text().contains("\"/openapi.json\""), "{}", setup.text());
    assert!(setup.text().contains("\"validatorUrl\": \"none\""), "{}", setup.text());
    assert!(!setup.text().contains("http"), "{}", setup.text());
}

#[tokio::test]
async fn document_is_served_as_json_and_yaml() {
    let api = Api::new();
    let json = api.call(Method::GET, "/openapi.json").send().await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.json(), document());
    let yaml = api.call(Method::GET, "/openapi.yaml").send().await;
    assert_eq!(yaml.header("content-type"), Some("application/yaml"));
    assert!(yaml.text().starts_with("openapi: 3.1.0\n") && yaml.text().contains("/api/v1/auth/login:"));
}

#[tokio::test]
async fn app_follows_its_configuration() {
    let api = Api::new();
    let get = |prefix: &str, docs: bool, path: &str| {
        let config = AppConfig { prefix: prefix.into(), docs, ..AppConfig::default() };
        Call::new(app_with(&api.tenancy, &config).unwrap(), Method::GET, path)
    };
    get("/v2", false, "/v2/users/me").refused(401, "unauthenticated").await;
    get("", false, "/users/me").refused(401, "unauthenticated").await;
    get("/a/b", false, "/a/b/users/me").refused(401, "unauthenticated").await;
    get("/v2", false, "/api/v1/users/me").refused(404, "not_found").await;
    get("/v2", false, "/docs/").refused(404, "not_found").await;
    get("/v2", false, "/openapi.json").refused(404, "not_found").await;
    let document = get("/v2", true, "/openapi.json").answered(200).await;
    assert!(document["paths"]["/v2/users/me"].is_object());
    let config = AppConfig { prefix: "/{tenant}".into(), ..AppConfig::default() };
    assert!(app_with(&api.tenancy, &config).is_err());
}

/// An application that puts its router together itself has the same parts.
#[tokio::test]
async fn parts_fit_into_an_own_router() {
    async fn who(Peer(client): Peer) -> Result<String, Problem> {
        client.user_agent.ok_or_else(|| Problem::of_status(StatusCode::PAYMENT_REQUIRED))
    }
    let api = Api::new();
    let router: Router<&'static str> = Router::new()
        .route("/who", axum::routing::get(who))
        .nest("/v2", routes(&api.tenancy))
        .merge(health(&api.tenancy))
        .merge(docs(&api.tenancy, "/v2"))
        .layer(RequestLayer::new(&api.tenancy));
    let router = router.with_state("a state of its own");
    let get = |path: &str| Call::new(router.clone(), Method::GET, path);
    assert_eq!(get("/who").header("user-agent", "curl").send().await.text(), "curl");
    get("/who").refused(402, "request_refused").await;
    get("/health/ready").answered(200).await;
    assert!(get("/openapi.json").answered(200).await["paths"]["/v2/users/me"].is_object());
    assert_eq!(get("/docs/").send().await.status.as_u16(), 200);
    get("/v2/users/me").refused(401, "unauthenticated").await;
}
