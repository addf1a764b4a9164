use axum::http::Method;
use multitenancy_testkit::{
    cancellation::{CancelAfter, Cut},
    within_limit,
};
use serde_json::{Value, json};

use crate::support::{Answer, Api, World};

#[tokio::test]
async fn create_organization_names_refused_values() {
    let World { api, ada, ada_in_acme, .. } = World::new().await;
    let create = |body: Value| api.post("/organizations").token(&ada.access).json(body);
    let fields = async |body: Value| {
        let problem = create(body).refused(422, "validation_failed").await;
        let errors = problem["errors"].as_array().unwrap().clone();
        errors
            .iter()
            .map(|error| format!("{} {}", error["field"].as_str().unwrap(), error["code"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(json!({ "name": "", "slug": "-" })).await, ["name name_invalid", "slug slug_invalid"]);
    assert_eq!(fields(json!({ "name": "Admin", "slug": "admin" })).await, ["slug slug_reserved"]);
    assert_eq!(fields(json!({ "name": "日本" })).await, ["slug slug_required"]);
    assert_eq!(
        fields(json!({ "name": "A b c", "isolation": "shared" })).await,
        ["isolation isolation_unsupported"]
    );
    assert_eq!(
        fields(json!({ "name": "日本", "isolation": "shared" })).await,
        ["slug slug_required", "isolation isolation_unsupported"]
    );
    assert_eq!(fields(json!({ "name": "A b c", "isolation": 5 })).await, ["isolation type_invalid"]);
    assert_eq!(fields(json!({ "name": "A b c", "isolation": "table" })).await, ["isolation type_invalid"]);
    assert_eq!(fields(json!({ "name": 7 })).await, ["name type_invalid"]);
    assert_eq!(fields(json!({})).await, ["name required"]);
    create(json!({ "name": "Another", "slug": "acme" })).refused(409, "slug_taken").await;
    create(json!({ "name": "Acme" })).refused(409, "slug_taken").await;
    let inside = api.post("/organizations").token(&ada_in_acme.access);
    inside.json(json!({ "name": "Another" })).refused(403, "wrong_scope").await;
}

#[tokio::test]
async fn users_list_only_their_organizations() {
    let world = World::new().await;
    let World { api, ada, bob, carol_in_acme, .. } = &world;
    let own = async |token: &str| {
        let body = api.get("/organizations/me").token(token).answered(200).await;
        let items = body["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["slug"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(own(&ada.access).await, ["acme"]);
    assert_eq!(own(&bob.access).await, ["globex"]);
    assert_eq!(own(&carol_in_acme.access).await, ["acme"]);
    let path = format!("/organizations/{}", world.acme_id());
    assert_eq!(api.get(&path).token(&carol_in_acme.access).answered(200).await, world.acme);
    api.get(&path).refused(401, "unauthenticated").await;
}

/// Everything of an answer but what names the request.
fn anonymous(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    for field in ["instance", "request_id"] {
        body.as_object_mut().unwrap().remove(field);
    }
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "content-length")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    (answer.status.as_u16(), headers, body)
}

/// S80: somebody else's id gets the answer of an id that nobody has, from the platform and from inside a tenant.
#[tokio::test]
async fn s80_foreign_id_looks_unknown() {
    let world = World::new().await;
    let World { api, ada, ada_in_acme, carol_in_acme, .. } = &world;
    for token in [&ada.access, &ada_in_acme.access, &carol_in_acme.access] {
        let read = async |id: &str| {
            let answer = api.get(&format!("/organizations/{id}")).token(token).send().await;
            answer.refused(404, "tenant_not_found");
            anonymous(&answer)
        };
        let nobodys = read("0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11").await;
        assert_eq!(read(world.globex_id()).await, nobodys);
        assert_eq!(read(&ada.id().to_string()).await, nobodys, "a user's id");
        assert_eq!(read("not-an-id").await, nobodys);
    }
}

/// E19: what is no id in its one spelling is not there.
#[tokio::test]
async fn e19_id_has_one_spelling() {
    let world = World::new().await;
    let id = world.acme_id();
    let overlong = format!("{id}{}", "0".repeat(5_000));
    let simple = id.replace('-', "");
    let (braced, urn, upper) = (format!("%7B{id}%7D"), format!("urn:uuid:{id}"), format!("{id}%20"));
    let nul = format!("{id}%00");
    let line = format!("{id}%0d%0aX-Injected:%201");
    let inside = [
        simple.as_str(),
        &braced,
        &urn,
        &upper,
        &nul,
        &line,
        &overlong,
        "..",
        ".",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%5c..%5cwindows",
        "%2f",
        "%ff%fe",
        "%",
        "%zz",
        "0",
        "-1",
        "null",
        "*",
        "'%20OR%201=1--",
        "acme",
        "%F0%9F%92%A9",
    ];
    let read = |path: &str| world.api.get(&format!("/organizations/{path}")).token(&world.ada.access);
    read(id).answered(200).await;
    for path in inside {
        let answer = read(path).send().await;
        answer.refused(404, "tenant_not_found");
        assert!(!answer.headers.contains_key("x-injected"), "{path}");
    }
    for path in [&format!("{id}/"), &format!("{id}/users"), &format!("../organizations/{id}"), "", "/"] {
        read(path).refused(404, "not_found").await;
    }
}

/// S31: whoever hangs up gets the organization all the same, completely.
#[tokio::test]
async fn s31_client_hang_up_leaves_nothing_half_made() {
    let api = Api::new();
    let ada = api.join(None, "ada@example.com").await;
    for round in 0..30 {
        let name = format!("Round {round}");
        let call = api.call(Method::POST, "/api/v1/organizations").token(&ada.access);
        let sending = call.json(json!({ "name": name })).send();
        let _gone = CancelAfter::new(sending, round, Cut::AtOnce).await;
    }
    let settled = async || {
        let own = api.get("/organizations/me").token(&ada.access).answered(200).await;
        let items = own["items"].as_array().unwrap().clone();
        items.iter().all(|item| item["status"] == "active").then_some(items)
    };
    let own = within_limit("what was begun to be completed", async {
        loop {
            match settled().await {
                Some(items) => return items,
                None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    });
    for item in own.await {
        api.switch(&ada, item["slug"].as_str().unwrap()).await;
    }
}
