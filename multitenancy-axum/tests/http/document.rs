use std::collections::BTreeSet;

use axum::http::Method;
use multitenancy_core::Role;
use serde_json::{Value, json};

use crate::support::{World, document};

pub struct Operation {
    pub method: Method,
    /// With a tenant's id in the place of a parameter.
    pub path: String,
    pub name: String,
    pub public: bool,
    pub permission: Option<String>,
}

/// Every operation in the document.
pub fn operations() -> Vec<Operation> {
    let document = document();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"].as_array().expect("says who may");
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.replace("{id}", "0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11"),
                name: format!("{} {path}", method.to_uppercase()),
                public: !security.iter().any(|scheme| scheme.get("bearer").is_some()),
                permission: operation["x-permission"].as_str().map(str::to_owned),
            });
        }
    }
    operations
}

#[test]
fn document_lists_the_endpoints() {
    let names: Vec<_> = operations().into_iter().map(|operation| operation.name).collect();
    assert_eq!(
        names,
        [
            "POST /api/v1/auth/login",
            "POST /api/v1/auth/logout",
            "POST /api/v1/auth/refresh",
            "POST /api/v1/auth/register",
            "POST /api/v1/auth/switch",
            "POST /api/v1/organizations",
            "GET /api/v1/organizations/me",
            "GET /api/v1/organizations/{id}",
            "POST /api/v1/tenants/{id}/activate",
            "POST /api/v1/tenants/{id}/cancel",
            "POST /api/v1/tenants/{id}/suspend",
            "GET /api/v1/users/me",
            "PUT /api/v1/users/me",
            "GET /health",
            "GET /health/live",
            "GET /health/ready",
        ]
    );
}

/// What is documented is served with its methods and no others; the router itself knows no further path.
#[tokio::test]
async fn document_matches_the_router() {
    let World { api, .. } = World::new().await;
    let operations = operations();
    for operation in &operations {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let documented =
                operations.iter().any(|other| other.path == operation.path && other.method == method);
            let answer = api.call(method, &operation.path).send().await;
            let code = answer.json()["code"].clone();
            assert_eq!(code != "method_not_allowed", documented, "{answer:?}");
            assert_ne!(code, "not_found", "{answer:?}");
        }
    }
    let router = format!("{:?}", api.router);
    let served: BTreeSet<&str> =
        router.split('"').filter(|text| text.starts_with('/') && !text.contains("__private__")).collect();
    let mut expected: BTreeSet<&str> =
        operations.iter().map(|operation| operation.name.split_once(' ').unwrap().1).collect();
    expected.extend(["/docs", "/docs/", "/docs/{*rest}", "/openapi.json", "/openapi.yaml"]);
    // Where the fallbacks are.
    expected.extend(["/", "/api/v1"]);
    assert_eq!(served, expected);
}

/// S79: who may is said of every endpoint, and the public ones are these.
#[tokio::test]
async fn s79_private_routes_need_a_token() {
    let World { api, .. } = World::new().await;
    let mut public = Vec::new();
    for operation in operations() {
        if operation.public {
            public.push(operation.name);
            continue;
        }
        api.call(operation.method, operation.path).refused(401, "unauthenticated").await;
    }
    assert_eq!(
        public,
        [
            "POST /api/v1/auth/login",
            "POST /api/v1/auth/refresh",
            "POST /api/v1/auth/register",
            "GET /health",
            "GET /health/live",
            "GET /health/ready",
        ]
    );
}

/// S79: a permission that is documented is asked for.
#[tokio::test]
async fn s79_role_without_permission_is_denied() {
    let World { api, carol_in_acme, .. } = World::new().await;
    api.set_user("acme", &carol_in_acme, &["stranger".parse::<Role>().unwrap()], true).await;
    let mut asked = BTreeSet::new();
    for operation in operations().into_iter().filter(|operation| operation.permission.is_some()) {
        let call = api.call(operation.method, operation.path).token(&carol_in_acme.access).json(json!({}));
        call.refused(403, "permission_denied").await;
        asked.extend(operation.permission);
    }
    assert_eq!(
        Vec::from_iter(asked),
        ["manage_tenant_status", "read_own_profile", "read_own_tenant", "update_own_profile"]
    );
    api.set_user("acme", &carol_in_acme, &[Role::GUEST], true).await;
    let me = api.put("/users/me").token(&carol_in_acme.access).json(json!({}));
    me.refused(403, "permission_denied").await;
    api.get("/users/me").token(&carol_in_acme.access).answered(200).await;
}

/// S57: a token of one tenant is good for no endpoint of another.
#[tokio::test]
async fn s57_token_is_refused_in_other_tenants() {
    let world = World::new().await;
    for operation in operations().into_iter().filter(|operation| !operation.public) {
        for token in [&world.carol_in_acme.access, &world.ada_in_acme.access, &world.ada.access] {
            let travelling = operation.path.ends_with("/auth/switch");
            let call = world.api.call(operation.method.clone(), &operation.path).token(token);
            let answer = call.tenant("globex").json(json!({ "tenant": "acme" })).send().await;
            let code =
                if travelling && *token != world.ada.access { "wrong_scope" } else { "tenant_mismatch" };
            answer.refused(403, code);
        }
    }
}

fn walk<'a>(value: &'a Value, path: &str, seen: &mut impl FnMut(&str, &'a str)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                seen(path, key);
                walk(value, &format!("{path}/{key}"), seen);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, seen)),
        _ => {}
    }
}

/// S111: no answer has a field for a secret, in the document or in life.
#[tokio::test]
async fn s111_answers_have_no_field_for_secrets() {
    const BANNED: [&str; 8] =
        ["password", "hash", "secret", "digest", "salt", "platform_user", "session", "sid"];
    let check = |place: &str, name: &str| {
        let tokens = place.contains("Tokens") && ["access_token", "refresh_token"].contains(&name);
        let banned = BANNED.iter().any(|word| name.contains(word)) || (name.contains("token") && !tokens);
        assert!(!banned || name == "token_type", "{place}: {name}");
    };
    let document = document();
    let requests: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .filter_map(|operation| {
            operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
        })
        .map(|reference| reference.rsplit('/').next().unwrap().to_owned())
        .collect();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if !requests.contains(name) {
            let mut seen = |_: &str, key: &str| check(name, key);
            walk(&schema["properties"], name, &mut seen);
        }
    }

    let world = World::new().await;
    let World { api, ada, .. } = &world;
    for body in [
        api.get("/users/me").token(&ada.access).answered(200).await,
        api.get("/organizations/me").token(&ada.access).answered(200).await,
        api.get(&format!("/organizations/{}", world.acme_id())).token(&ada.access).answered(200).await,
        api.put("/users/me").token(&ada.access).json(json!({ "phone": "1" })).answered(200).await,
        api.call(Method::GET, "/health").answered(200).await,
        ada.user.clone(),
        world.acme.clone(),
    ] {
        walk(&body, "a live body", &mut |path: &str, key: &str| check(path, key));
        assert!(!body.to_string().contains("$argon2"));
    }
}
