//! S1, S2: whatever a request says, it says of one tenant and of one object.

use axum::http::Method;
use multitenancy_core::tenant::Resolution;
use serde_json::{Value, json};

use crate::{
    document::operations,
    support::{Answer, Call, PASSWORD, World, probe::Probe},
};

async fn world() -> (World, Probe) {
    let (api, probe) = Probe::api(|builder| {
        builder.resolution(Resolution {
            base_domain: Some("example.com".parse().unwrap()),
            ..Resolution::default()
        })
    });
    (World::of(api).await, probe)
}

/// A body that each endpoint would take, were it not for what is added to it.
fn body(world: &World, path: &str) -> Option<Value> {
    Some(match path.strip_prefix("/api/v1")? {
        "/auth/register" => json!({ "email": "new@example.com", "password": PASSWORD }),
        "/auth/login" => json!({ "email": "carol@example.com", "password": PASSWORD }),
        "/auth/refresh" => json!({ "refresh_token": world.carol_in_acme.refresh }),
        "/auth/switch" => json!({ "tenant": "acme" }),
        "/organizations" => json!({ "name": "Initech" }),
        "/users/me" => json!({ "display_name": "Carol" }),
        _ => return None,
    })
}

fn send(call: Call, body: Option<&Value>) -> impl Future<Output = Answer> {
    match body {
        Some(body) => call.json(body.clone()).send(),
        None => call.send(),
    }
}

/// S1: a request of Acme that names Globex is refused, whichever part of it does: nothing is written anywhere, and
/// nothing of Globex is told.
#[tokio::test]
async fn s1_request_names_one_tenant_only() {
    let (world, probe) = world().await;
    let mut endpoints = 0;
    probe.writes();
    let mut operations = operations();
    operations.retain(|operation| operation.path.starts_with("/api"));
    // Which ends the session.
    operations.sort_by_key(|operation| operation.path.ends_with("/logout"));
    for operation in operations {
        let path = operation.path.replace("0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11", world.acme_id());
        let body = body(&world, &path).filter(|_| operation.method != Method::GET);
        let switching = path.ends_with("/switch");
        let token = if switching { &world.ada.access } else { &world.carol_in_acme.access };
        let call =
            |query: &str| world.api.call(operation.method.clone(), format!("{path}{query}")).token(token);
        // Whoever signs in or registers says where by header or host, whatever tokens they have.
        let signing_in = ["/login", "/register"].iter().any(|end| path.ends_with(end));
        let in_acme = |call: Call| if signing_in { call.tenant("acme") } else { call };
        let mut answers = Vec::new();
        for key in ["globex", world.globex_id()] {
            for name in ["tenant", "tenant_id", "%74enant"] {
                let call = in_acme(call(&format!("?{name}={key}")));
                answers.push(send(call, body.as_ref()).await);
            }
            let by_header = call("?tenant=acme").tenant(key);
            answers.push(send(by_header, body.as_ref()).await);
            let by_alias = call("").tenant("acme").header("x-tenant-slug", key);
            answers.push(send(by_alias, body.as_ref()).await);
        }
        let by_host = call("").tenant("acme").header("host", "globex.example.com");
        answers.push(send(by_host, body.as_ref()).await);
        if !signing_in {
            answers.push(send(call("").tenant("globex"), body.as_ref()).await);
            answers.push(send(call("").header("host", "globex.example.com"), body.as_ref()).await);
        }
        for answer in &answers {
            answer.refused(403, "tenant_mismatch");
        }
        if let Some(body) = &body {
            for name in ["tenant_id", "tenant_slug", "organization_id"] {
                let mut body = body.clone();
                body[name] = json!(world.globex_id());
                // Only a user of the platform gets as far as the body of a new organization.
                let call = match path.ends_with("/organizations") {
                    true => world.api.post("/organizations").token(&world.ada.access),
                    false => in_acme(call("")),
                };
                let answer = call.json(body).send().await;
                assert_eq!(answer.refused(422, "validation_failed")["errors"][0]["field"], name);
                answers.push(answer);
            }
        }
        for answer in answers {
            let text = answer.text().to_lowercase();
            assert!(!text.contains("globex") && !text.contains(world.globex_id()), "{answer:?}");
        }
        assert_eq!(probe.writes(), [], "{}", operation.name);
        // The control: the same request writes, or reads, when nothing contradicts it.
        let answer = send(in_acme(call("?tenant=acme")), body.as_ref()).await;
        if path == "/api/v1/organizations" {
            answer.refused(403, "wrong_scope");
        } else if path.contains("/tenants/") {
            answer.refused(403, "permission_denied");
        } else {
            assert!(answer.status.is_success(), "{answer:?}");
            assert_eq!(probe.writes().is_empty(), operation.method == Method::GET, "{}", operation.name);
        }
        endpoints += 1;
    }
    assert_eq!(endpoints, 13);
}

/// S2: an id is read from one place; one that stands elsewhere is refused or is nothing, and leads nowhere.
#[tokio::test]
async fn s2_id_is_read_from_one_place() {
    let (world, probe) = world().await;
    let World { api, ada, bob, .. } = &world;
    let with_an_id = operations().iter().filter(|operation| operation.name.contains('{')).count();
    assert_eq!(with_an_id, 4, "a new one is tested here, or in `tenants`");
    let globex = world.globex_id();
    probe.writes();

    let read = |query: &str| {
        let path = format!("/api/v1/organizations/{}{query}", world.acme_id());
        api.call(Method::GET, path).token(&ada.access)
    };
    let others = [format!("?id={globex}"), format!("?organization_id={globex}&id={globex}")];
    for query in &others {
        assert_eq!(read(query).answered(200).await, world.acme);
        assert_eq!(read(query).json(json!({ "id": globex })).answered(200).await, world.acme);
    }
    read(&format!("?tenant_id={globex}")).refused(403, "tenant_mismatch").await;
    let foreign = format!("/api/v1/organizations/{globex}?id={}", world.acme_id());
    api.call(Method::GET, foreign).token(&ada.access).refused(404, "tenant_not_found").await;

    let bobs = bob.id();
    for query in [format!("?id={bobs}"), format!("?user_id={bobs}")] {
        let me = api.get(&format!("/users/me{query}")).token(&ada.access).answered(200).await;
        assert_eq!(me["id"], ada.user["id"]);
        for field in ["id", "user_id"] {
            let update = api.put(&format!("/users/me{query}")).token(&ada.access);
            update.json(json!({ "phone": "1", field: bobs })).refused(422, "validation_failed").await;
        }
    }
    let switch = |query: &str| api.post(&format!("/auth/switch{query}")).token(&ada.access);
    switch("?tenant=globex").json(json!({ "tenant": "acme" })).refused(403, "tenant_mismatch").await;
    switch("?tenant=acme").json(json!({ "tenant": "globex" })).refused(404, "tenant_not_found").await;
    for field in ["id", "tenant_id"] {
        let body = json!({ "tenant": "acme", field: globex });
        switch("").json(body).refused(422, "validation_failed").await;
    }
    assert_eq!(probe.writes(), [], "nothing was written");

    let update = api.put(&format!("/users/me?id={bobs}")).token(&ada.access).json(json!({ "phone": "1" }));
    assert_eq!(update.answered(200).await["id"], ada.user["id"]);
    assert_eq!(api.get("/users/me").token(&bob.access).answered(200).await["phone"], Value::Null);
    assert_eq!(
        switch(&others[0]).json(json!({ "tenant": "acme" })).answered(200).await["tenant_id"],
        world.acme["id"]
    );
}
