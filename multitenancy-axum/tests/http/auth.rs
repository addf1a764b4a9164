use axum::http::Method;
use multitenancy_core::{
    Role,
    tenant::{ControlContext, TenantStatus},
};
use serde_json::json;

use crate::support::{Answer, Api, Call, PASSWORD, World};

fn login(api: &Api, email: &str, password: &str) -> Call {
    api.post("/auth/login").json(json!({ "email": email, "password": password }))
}

#[tokio::test]
async fn s41_login_hides_account_state() {
    let World { api, carol_in_acme, .. } = World::new().await;
    let dora = api.join(Some("acme"), "dora@example.com").await;
    api.set_user("acme", &dora, &[Role::MEMBER], false).await;
    let wrong = "wrong horse battery staple";
    let answer = async |email: &str, password: &str| {
        let call = login(&api, email, password).tenant("acme").header("x-request-id", "same");
        let answer = call.send().await;
        answer.refused(401, "invalid_credentials");
        (answer.status, answer.headers, answer.bytes)
    };
    let unknown = answer("nobody@example.com", wrong).await;
    for (state, email, password) in [
        ("wrong password", "carol@example.com", wrong),
        ("no password at all", "ada@example.com", wrong),
        ("a platform password, in a tenant", "bob@example.com", PASSWORD),
        ("inactive", "dora@example.com", wrong),
        ("no address", "x", wrong),
        ("overlong password", "carol@example.com", &"x".repeat(1025)),
    ] {
        assert_eq!(answer(email, password).await, unknown, "{state}");
    }
    login(&api, "dora@example.com", PASSWORD).tenant("acme").refused(403, "account_inactive").await;
    api.get("/users/me").token(&dora.access).refused(401, "invalid_token").await;
    api.get("/users/me").token(&carol_in_acme.access).answered(200).await;
}

#[tokio::test]
async fn login_ignores_stale_token() {
    let api = Api::new();
    api.join(None, "ada@example.com").await;
    login(&api, "ada@example.com", PASSWORD).token("stale").answered(200).await;
    let person = json!({ "email": "eve@example.com", "password": PASSWORD });
    api.post("/auth/register").header("authorization", "Basic eDp5").json(person).answered(201).await;
}

#[tokio::test]
async fn register_names_refused_values() {
    let api = Api::new();
    let refused = async |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        let problem = api.post("/auth/register").json(body).refused(422, "validation_failed").await;
        (problem["errors"][0]["field"].clone(), problem["errors"][0]["code"].clone())
    };
    assert_eq!(refused("nobody", PASSWORD).await, (json!("email"), json!("email_invalid")));
    assert_eq!(refused("a@example.com", "short").await, (json!("password"), json!("too_short")));
    assert_eq!(refused("a@example.com", "passwordpassword").await, (json!("password"), json!("too_common")));
    let all = json!({ "email": "x".repeat(50_000), "password": "short", "full_name": "x".repeat(201) });
    let problem = api.post("/auth/register").json(all).refused(422, "validation_failed").await;
    let codes: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["code"]).collect();
    assert_eq!(codes, ["email_invalid", "too_long", "too_short"], "every refused value at once");
    api.join(None, "a@example.com").await;
    let body = json!({ "email": "A@EXAMPLE.COM", "password": PASSWORD });
    api.post("/auth/register").json(body).refused(409, "email_taken").await;
}

#[tokio::test]
async fn refresh_token_works_once_in_its_realm() {
    let World { api, carol_in_acme, ada, .. } = World::new().await;
    let refresh = |token: &str| api.post("/auth/refresh").json(json!({ "refresh_token": token }));
    refresh(&carol_in_acme.refresh).tenant("globex").refused(403, "tenant_mismatch").await;
    refresh(&carol_in_acme.refresh).tenant("nowhere").refused(403, "tenant_mismatch").await;
    refresh(&ada.refresh).tenant("acme").refused(403, "tenant_mismatch").await;
    refresh(&carol_in_acme.refresh).tenant("acme").answered(200).await;
    refresh(&carol_in_acme.refresh).refused(401, "invalid_refresh_token").await;
    refresh(&carol_in_acme.access).refused(401, "invalid_refresh_token").await;
    refresh("").refused(401, "invalid_refresh_token").await;
    refresh(&ada.refresh).token("stale").answered(200).await;
}

#[tokio::test]
async fn logout_is_idempotent() {
    let World { api, carol_in_acme, .. } = World::new().await;
    let out = || api.post("/auth/logout").token(&carol_in_acme.access);
    api.post("/auth/logout").refused(401, "unauthenticated").await;
    out().tenant("globex").refused(403, "tenant_mismatch").await;
    out().answered(204).await;
    out().answered(204).await;
    api.post("/auth/logout").token("x").refused(401, "invalid_token").await;
    let body = json!({ "refresh_token": carol_in_acme.refresh });
    api.post("/auth/refresh").json(body).refused(401, "invalid_refresh_token").await;
}

#[tokio::test]
async fn deactivated_user_can_log_out() {
    let World { api, carol_in_acme, .. } = World::new().await;
    api.set_user("acme", &carol_in_acme, &[Role::MEMBER], false).await;
    api.get("/users/me").token(&carol_in_acme.access).refused(401, "invalid_token").await;
    api.post("/auth/logout").token(&carol_in_acme.access).answered(204).await;
    api.set_user("acme", &carol_in_acme, &[Role::MEMBER], true).await;
    api.get("/users/me").token(&carol_in_acme.access).refused(401, "invalid_token").await;
}

/// S67: by id or by slug, and only into one's own.
#[tokio::test]
async fn s67_switch_needs_membership() {
    let world = World::new().await;
    let World { api, ada, carol_in_acme, .. } = &world;
    let switch = |tenant: &str| api.post("/auth/switch").token(&ada.access).json(json!({ "tenant": tenant }));
    for key in ["acme", world.acme_id()] {
        assert_eq!(switch(key).answered(200).await["tenant_id"], world.acme["id"]);
        switch(key).tenant("acme").answered(200).await;
        switch(key).tenant(world.acme_id()).answered(200).await;
        switch(key).tenant("globex").refused(403, "tenant_mismatch").await;
        switch(key).tenant("nowhere").refused(403, "tenant_mismatch").await;
    }
    for malformed in ["", "*", "Acme", "a b"] {
        switch(malformed).refused(400, "tenant_malformed").await;
    }
    api.post("/auth/switch").json(json!({ "tenant": "acme" })).refused(401, "unauthenticated").await;
    let inside = api.post("/auth/switch").token(&carol_in_acme.access);
    inside.json(json!({ "tenant": "acme" })).refused(403, "wrong_scope").await;
    api.set_status("acme", TenantStatus::Active, TenantStatus::Suspended).await;
    switch("acme").refused(403, "tenant_inactive").await;
}

/// S80: a tenant that is somebody else's is one that is not there, whatever the request names besides.
#[tokio::test]
async fn s80_switch_hides_other_tenants() {
    let world = World::new().await;
    let World { api, ada, .. } = &world;
    let answer = async |tenant: &str, header: Option<&str>| {
        let mut call = api.post("/auth/switch").token(&ada.access).header("x-request-id", "same");
        if let Some(key) = header {
            call = call.tenant(key);
        }
        let answer: Answer = call.json(json!({ "tenant": tenant })).send().await;
        answer.refused(404, "tenant_not_found");
        answer.bytes
    };
    let missing = answer("nowhere", None).await;
    for header in [None, Some("acme"), Some("nowhere"), Some("globex"), Some(world.globex_id())] {
        for tenant in ["nowhere", "globex", world.globex_id(), "0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11"] {
            assert_eq!(answer(tenant, header).await, missing, "{tenant} {header:?}");
        }
    }
}

/// Whatever `Authorization` carries is one good token, or refused.
#[tokio::test]
async fn malformed_bearer_token_is_refused() {
    let World { api, ada, carol_in_acme, .. } = World::new().await;
    let me = |value: &[u8]| api.get("/users/me").header("authorization", value);
    let good = format!("Bearer {}", ada.access);
    me(good.as_bytes()).answered(200).await;
    me(good.replace("Bearer", "bEARER").as_bytes()).answered(200).await;

    let [header, claims, signature] = ada.access.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other_claims = carol_in_acme.access.split('.').nth(1).unwrap();
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let forged = [
        format!("{header}.{other_claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{unsigned}.{claims}."),
        format!("{unsigned}.{claims}.{signature}"),
        ada.access[..ada.access.len() - 2].to_owned(),
        ada.refresh.clone(),
        "x".repeat(5_000),
    ];
    for token in &forged {
        let problem = me(format!("Bearer {token}").as_bytes()).send().await;
        problem.refused(401, "invalid_token");
        assert_eq!(problem.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    }
    let padded = [&good[..], " "].concat();
    let malformed: [&[u8]; 10] = [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic eDp5",
        b"Token x",
        ada.access.as_bytes(),
        padded.as_bytes(),
        b"Bearer a b",
        b"Bearer  x",
        b"Bearer \xff",
    ];
    for value in malformed {
        me(value).refused(401, "invalid_token").await;
    }
    me(good.as_bytes()).header("authorization", &good).refused(401, "invalid_token").await;

    let problem = api.get("/users/me").send().await;
    problem.refused(401, "unauthenticated");
    assert_eq!(problem.header("www-authenticate"), Some("Bearer"));

    api.turn_clock(901);
    me(good.as_bytes()).refused(401, "invalid_token").await;
}

#[tokio::test]
async fn session_records_its_client() {
    let api = Api::new();
    api.join(None, "ada@example.com").await;
    let agent = format!("agent\t1 {}", "x".repeat(300));
    let mut request = login(&api, "ada@example.com", PASSWORD).header("user-agent", agent).request();
    let peer = std::net::SocketAddr::from(([192, 0, 2, 7], 4711));
    request.headers_mut().insert("x-forwarded-for", "10.0.0.1".parse().unwrap());
    request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
    let response = tower::ServiceExt::oneshot(api.router.clone(), request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let tokens: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let claims = api.tenancy.access().tokens().verify(tokens["access_token"].as_str().unwrap()).unwrap();
    let mut unit = api.tenancy.store().read_control(&ControlContext::system("test")).await.unwrap();
    let session = unit.sessions().find(claims.sid).await.unwrap().unwrap();
    assert_eq!(session.client.ip.as_deref(), Some("192.0.2.7"));
    let agent = session.client.user_agent.unwrap();
    assert!(agent.starts_with("agent1 x") && agent.chars().count() == 200, "{agent}");
}

/// E11: the token is read from its header and from nowhere else.
#[tokio::test]
async fn e11_token_outside_header_is_ignored() {
    let World { api, ada, .. } = World::new().await;
    let path = format!("/api/v1/users/me?access_token={0}&token={0}", ada.access);
    let call = api.call(Method::GET, path).header("cookie", format!("access_token={}", ada.access));
    call.header("x-access-token", &ada.access).refused(401, "unauthenticated").await;
}
