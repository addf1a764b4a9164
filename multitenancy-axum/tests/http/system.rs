use std::sync::Arc;

use axum::http::Method;
use multitenancy_axum::{AppConfig, app_with};
use serde_json::json;

use crate::support::{Api, Call, failing::FailingStore};

#[tokio::test]
async fn health_tells_how_things_stand() {
    let mut kept = None;
    let store = |environment| {
        let store = FailingStore::new(environment);
        kept = Some(store.clone());
        Arc::new(store) as _
    };
    let api = Api::over(store, |builder| builder);
    let get = |path: &str| api.call(Method::GET, path);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        get("/health").answered(200).await,
        json!({ "status": "ok", "version": version, "checks": { "store": "ok" } })
    );
    assert_eq!(get("/health/ready").answered(200).await, json!({ "status": "ok" }));
    kept.unwrap().break_down();
    assert_eq!(
        get("/health").answered(503).await,
        json!({ "status": "unavailable", "version": version, "checks": { "store": "unavailable" } })
    );
    assert_eq!(get("/health/ready").answered(503).await, json!({ "status": "unavailable" }));
    assert_eq!(get("/health/live").answered(200).await, json!({ "status": "ok" }));
    let named = get("/health").tenant("nowhere").token("none").send().await;
    assert_eq!(named.status.as_u16(), 503, "health belongs to nobody");
}

/// The page and all that it loads come from here, and the policy holds it to that.
#[tokio::test]
async fn the_documentation_loads_nothing_from_elsewhere() {
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
async fn the_document_is_served_twice() {
    let api = Api::new();
    let json = api.call(Method::GET, "/openapi.json").send().await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.json(), serde_json::to_value(multitenancy_axum::openapi("/api/v1")).unwrap());
    let yaml = api.call(Method::GET, "/openapi.yaml").send().await;
    assert_eq!(yaml.header("content-type"), Some("application/yaml"));
    assert!(yaml.text().starts_with("openapi: 3.1.0\n") && yaml.text().contains("/api/v1/auth/login:"));
}

#[tokio::test]
async fn an_application_is_configured() {
    let api = Api::new();
    let get = |prefix: &str, docs: bool, path: &str| {
        let config = AppConfig { prefix: prefix.into(), docs, ..AppConfig::default() };
        Call::new(app_with(&api.tenancy, &config).unwrap(), Method::GET, path)
    };
    get("/v2", false, "/v2/users/me").refused(401, "unauthenticated").await;
    get("", false, "/users/me").refused(401, "unauthenticated").await;
    get("/a/b/", false, "/a/b/users/me").refused(401, "unauthenticated").await;
    get("/v2", false, "/api/v1/users/me").refused(404, "not_found").await;
    get("/v2", false, "/docs/").refused(404, "not_found").await;
    get("/v2", false, "/openapi.json").refused(404, "not_found").await;
    let document = get("/v2", true, "/openapi.json").answered(200).await;
    assert!(document["paths"]["/v2/users/me"].is_object());
    let config = AppConfig { prefix: "/{tenant}".into(), ..AppConfig::default() };
    assert!(app_with(&api.tenancy, &config).is_err());
}
