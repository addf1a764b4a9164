use serde_json::{Value, json};

use crate::support::{Api, PASSWORD};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const USER_FIELDS: [&str; 17] = [
    "avatar_url",
    "created_at",
    "display_name",
    "email",
    "email_verified",
    "first_name",
    "full_name",
    "id",
    "is_active",
    "is_owner",
    "last_login_at",
    "last_name",
    "metadata",
    "phone",
    "roles",
    "updated_at",
    "username",
];

#[tokio::test]
async fn user_registers_and_works_in_organization() {
    let api = Api::new();

    let person = json!({ "email": "Ada@Example.com", "password": PASSWORD, "full_name": "Ada Lovelace" });
    let ada = api.post("/auth/register").json(person).answered(201).await;
    assert_eq!(keys(&ada), USER_FIELDS);
    assert_eq!(ada["email"], "Ada@Example.com");
    assert_eq!(ada["full_name"], "Ada Lovelace");
    assert_eq!(ada["roles"], json!(["member"]));
    assert_eq!(
        (&ada["is_owner"], &ada["is_active"], &ada["email_verified"], &ada["last_login_at"]),
        (&json!(false), &json!(true), &json!(false), &Value::Null)
    );

    let login = json!({ "email": "ada@example.com", "password": PASSWORD });
    let platform = api.post("/auth/login").json(login).answered(200).await;
    assert_eq!(
        keys(&platform),
        ["access_token", "expires_in", "refresh_token", "scope", "token_type", "user"]
    );
    assert_eq!(
        (&platform["token_type"], &platform["expires_in"], &platform["scope"]),
        (&json!("Bearer"), &json!(900), &json!("platform"))
    );
    assert_eq!(platform["user"]["id"], ada["id"]);
    assert!(platform["user"]["last_login_at"].is_string());
    let token = platform["access_token"].as_str().unwrap();

    assert_eq!(api.get("/organizations/me").token(token).answered(200).await, json!({ "items": [] }));
    let new = json!({ "name": "Acme & Sons", "isolation": "database" });
    let acme = api.post("/organizations").token(token).json(new).answered(201).await;
    assert_eq!(
        keys(&acme),
        [
            "created_at",
            "domain",
            "id",
            "isolation",
            "name",
            "owner_id",
            "plan",
            "settings",
            "slug",
            "status",
            "updated_at"
        ]
    );
    assert_eq!(
        (&acme["name"], &acme["slug"], &acme["plan"], &acme["status"], &acme["isolation"]),
        (&json!("Acme & Sons"), &json!("acme-sons"), &json!("free"), &json!("active"), &json!("database"))
    );
    assert_eq!(
        (&acme["owner_id"], &acme["domain"], &acme["settings"]),
        (&ada["id"], &Value::Null, &json!({}))
    );
    let id = acme["id"].as_str().unwrap();
    let read = api.get(&format!("/organizations/{id}")).token(token).answered(200).await;
    assert_eq!(read, acme);
    assert_eq!(api.get("/organizations/me").token(token).answered(200).await, json!({ "items": [acme] }));

    let inside =
        api.post("/auth/switch").token(token).json(json!({ "tenant": "acme-sons" })).answered(200).await;
    assert_eq!((&inside["scope"], &inside["tenant_id"]), (&json!("tenant"), &acme["id"]));
    assert_eq!((&inside["user"]["is_owner"], &inside["user"]["roles"]), (&json!(true), &json!(["owner"])));
    assert_ne!(inside["user"]["id"], ada["id"], "another user, in another plane");
    let tenant_token = inside["access_token"].as_str().unwrap();

    let update = json!({ "display_name": "Ada", "phone": "", "metadata": { "team": "engine" } });
    let call = api.put("/users/me").token(tenant_token).json(update);
    let updated = call.answered(200).await;
    assert_eq!(keys(&updated), USER_FIELDS);
    assert_eq!(
        (&updated["display_name"], &updated["metadata"]),
        (&json!("Ada"), &json!({ "team": "engine" }))
    );
    assert_eq!(api.get("/users/me").token(tenant_token).answered(200).await, updated);
    assert_eq!(api.get("/users/me").token(token).answered(200).await["display_name"], Value::Null);
    let own = api.get("/organizations/me").token(tenant_token).answered(200).await;
    assert_eq!(own["items"][0]["id"], acme["id"]);

    let refresh = json!({ "refresh_token": inside["refresh_token"] });
    let renewed = api.post("/auth/refresh").json(refresh).answered(200).await;
    assert_eq!(keys(&renewed), keys(&inside));
    assert_ne!(renewed["refresh_token"], inside["refresh_token"]);

    let renewed = renewed["access_token"].as_str().unwrap();
    let answer = api.post("/auth/logout").token(renewed).send().await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
    api.get("/users/me").token(renewed).refused(401, "invalid_token").await;
    api.get("/users/me").token(token).answered(200).await;
}

#[tokio::test]
async fn same_address_in_two_tenants_is_two_users() {
    let api = Api::new();
    let owner = api.join(None, "owner@example.com").await;
    api.organization(&owner, "Acme").await;
    api.organization(&owner, "Globex").await;
    let here = api.join(Some("acme"), "carol@example.com").await;
    let there = api.join(Some("globex"), "carol@example.com").await;
    assert!(here.id() != there.id() && here.id() != owner.id());
    let again = json!({ "email": "Carol@example.com", "password": PASSWORD });
    api.post("/auth/register").tenant("acme").json(again).refused(409, "email_taken").await;
}
