use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Api, Call, PASSWORD, World, document};

/// A good body for every endpoint that reads one.
async fn requests(world: &World) -> Vec<(Call, Value)> {
    let World { api, ada, carol_in_acme, .. } = world;
    vec![
        (api.post("/auth/register"), json!({ "email": "new@example.com", "password": PASSWORD })),
        (api.post("/auth/login"), json!({ "email": "ada@example.com", "password": PASSWORD })),
        (api.post("/auth/refresh"), json!({ "refresh_token": carol_in_acme.refresh })),
        (api.post("/auth/switch").token(&ada.access), json!({ "tenant": "acme" })),
        (api.put("/users/me").token(&ada.access), json!({ "display_name": "Ada" })),
        (api.post("/organizations").token(&ada.access), json!({ "name": "Initech" })),
    ]
}

#[tokio::test]
async fn tests_cover_every_endpoint_with_a_body() {
    let world = World::new().await;
    let document = document();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let with_body = operations.filter(|(_, operation)| operation.get("requestBody").is_some()).count();
    assert_eq!(requests(&world).await.len(), with_body);
}

/// S110: fields that are the server's to set are unknown in every body, and so is anything else.
#[tokio::test]
async fn s110_body_cannot_set_server_fields() {
    const OWNED: [&str; 14] = [
        "id",
        "tenant_id",
        "role",
        "roles",
        "is_owner",
        "owner_id",
        "is_active",
        "email_verified",
        "status",
        "plan",
        "platform_user_id",
        "last_login_at",
        "created_at",
        "updated_at",
    ];
    let world = World::new().await;
    let me = |token: &str| world.api.get("/users/me").token(token).answered(200);
    let before = (me(&world.ada.access).await, me(&world.carol_in_acme.access).await);
    for field in OWNED {
        for (call, mut body) in requests(&world).await {
            body[field] = json!("super_admin");
            let problem = call.json(body).refused(422, "validation_failed").await;
            assert_eq!(problem["errors"][0]["field"], field);
            assert_eq!(problem["errors"][0]["code"], "unknown_field");
        }
    }
    let update = world.api.put("/users/me").token(&world.ada.access);
    let problem = update.json(json!({ "email": "eve@example.com" })).refused(422, "validation_failed").await;
    assert_eq!(problem["errors"][0]["field"], "email");
    assert_eq!((me(&world.ada.access).await, me(&world.carol_in_acme.access).await), before);
    for (call, body) in requests(&world).await {
        let status = call.json(body).send().await.status;
        assert!(status.is_success(), "the same bodies without them are good: {status}");
    }
}

#[tokio::test]
async fn body_is_one_json_object_of_bounded_size() {
    let world = World::new().await;
    for (call, body) in requests(&world).await {
        let json = |text: &str| call.clone().header("content-type", "application/json").body(text);
        json("").refused(400, "malformed_json").await;
        json("{").refused(400, "malformed_json").await;
        json("{'email': 1}").refused(400, "malformed_json").await;
        json(&format!("{body}{body}")).refused(400, "malformed_json").await;
        json("null").refused(422, "validation_failed").await;
        let fields: Vec<&Value> = body.as_object().unwrap().values().collect();
        for array in [json!(fields), json!([]), json!([body])] {
            let problem = json(&array.to_string()).refused(422, "validation_failed").await;
            assert_eq!(
                problem["errors"],
                json!([{ "field": "body", "code": "type_invalid", "message": "must be an object" }])
            );
        }
        let huge = json!({ "email": "x".repeat(64 * 1024) });
        call.clone().json(huge).refused(413, "body_too_large").await;
        call.clone().body(body.to_string()).refused(415, "unsupported_media_type").await;
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            let other = call.clone().header("content-type", media_type).body(body.to_string());
            other.refused(415, "unsupported_media_type").await;
        }
    }
}

#[tokio::test]
async fn e19_body_depth_is_bounded() {
    let World { api, ada, .. } = World::new().await;
    let nested = |depth: usize| {
        let body = format!("{{\"metadata\": {{\"a\": {}1{}}}}}", "[".repeat(depth), "]".repeat(depth));
        api.put("/users/me").token(&ada.access).header("content-type", "application/json").body(body)
    };
    nested(100).answered(200).await;
    nested(200).refused(400, "malformed_json").await;
    nested(20_000).refused(400, "malformed_json").await;
}

#[tokio::test]
async fn refusal_does_not_repeat_value() {
    let api = Api::new();
    let body = json!({ "email": "a@example.com", "password": 918_273_645 });
    let answer = api.post("/auth/register").json(body).send().await;
    let problem = answer.refused(422, "validation_failed");
    assert_eq!(
        problem["errors"],
        json!([
            { "field": "password", "code": "type_invalid", "message": "must be a string" }
        ])
    );
    assert!(!answer.text().contains("918273645"));
}

#[tokio::test]
async fn invalid_profile_changes_nothing() {
    let World { api, ada, .. } = World::new().await;
    let body = json!({ "full_name": "Ada", "phone": "1".repeat(41), "avatar_url": "javascript:alert(1)" });
    let problem = api.put("/users/me").token(&ada.access).json(body).refused(422, "validation_failed").await;
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["phone", "avatar_url"]);
    let me = api.call(Method::GET, "/api/v1/users/me").token(&ada.access).answered(200).await;
    assert_eq!(me["full_name"], Value::Null);
}
