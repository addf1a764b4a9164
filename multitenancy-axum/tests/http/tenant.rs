use axum::{Router, http::Method, routing::get};
use multitenancy_axum::{CurrentTenant, RequestLayer, Tenancy};
use multitenancy_core::tenant::{Resolution, TenantStatus};
use serde_json::json;

use crate::support::{Answer, Api, Call, PASSWORD, Wire, World};

async fn slug(tenant: CurrentTenant) -> String {
    tenant.tenant().slug.to_string()
}

/// One route that asks for a tenant, and for nobody.
fn router(tenancy: &Tenancy) -> Router {
    Router::new().route("/", get(slug)).layer(RequestLayer::new(tenancy)).with_state(tenancy.clone())
}

fn ask(world: &World) -> Call {
    Call::new(router(&world.api.tenancy), Method::GET, "/")
}

async fn with_hosts() -> World {
    World::of(Api::with(|builder| {
        builder.resolution(Resolution {
            base_domain: Some("example.com".parse().unwrap()),
            ..Resolution::default()
        })
    }))
    .await
}

#[tokio::test]
async fn request_without_token_names_its_tenant() {
    let world = World::new().await;
    let ask = || ask(&world);
    for name in ["x-tenant-id", "x-tenant", "x-tenant-slug"] {
        for key in ["acme", world.acme_id()] {
            assert_eq!(ask().header(name, key).send().await.text(), "acme", "{name}: {key}");
        }
    }
    assert_eq!(ask().tenant("acme").header("x-tenant-slug", "acme").send().await.text(), "acme");
    ask().refused(400, "tenant_required").await;
    ask().tenant("nowhere").refused(404, "tenant_not_found").await;
    ask().tenant("0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11").refused(404, "tenant_not_found").await;
    ask().tenant("acme").header("x-tenant", "globex").refused(403, "tenant_mismatch").await;
    ask().tenant(world.acme_id()).header("x-tenant-slug", "globex").refused(403, "tenant_mismatch").await;
    let malformed: [&[u8]; 9] =
        [b"", b" ", b"*", b"Acme", b"acme,globex", b"a b", b"' OR 1=1", b"../acme", b"\xc3\xa4cme"];
    for key in malformed {
        ask().header("x-tenant-id", key).refused(400, "tenant_malformed").await;
        ask().tenant("acme").header("x-tenant-slug", key).refused(400, "tenant_malformed").await;
    }
}

#[tokio::test]
async fn s117_a_suspended_tenant_is_refused_everywhere() {
    let world = World::new().await;
    let World { api, carol_in_acme, .. } = &world;
    api.set_status("acme", TenantStatus::Active, TenantStatus::Suspended).await;
    ask(&world).tenant("acme").refused(403, "tenant_inactive").await;
    let person = json!({ "email": "carol@example.com", "password": PASSWORD });
    api.post("/auth/login").tenant("acme").json(person.clone()).refused(403, "tenant_inactive").await;
    api.post("/auth/register").tenant("acme").json(person).refused(403, "tenant_inactive").await;
    api.get("/users/me").token(&carol_in_acme.access).refused(403, "tenant_inactive").await;
    api.put("/users/me").token(&carol_in_acme.access).json(json!({})).refused(403, "tenant_inactive").await;
    let refresh = json!({ "refresh_token": carol_in_acme.refresh });
    api.post("/auth/refresh").json(refresh.clone()).refused(401, "invalid_refresh_token").await;
    api.set_status("acme", TenantStatus::Suspended, TenantStatus::Active).await;
    api.get("/users/me").token(&carol_in_acme.access).answered(200).await;
    api.post("/auth/refresh").json(refresh).answered(200).await;
}

/// E2: what selects a tenant occurs once, also when it says the same thing twice.
#[tokio::test]
async fn e2_duplicates_are_refused() {
    let world = with_hosts().await;
    let ask = || ask(&world);
    ask().tenant("acme").tenant("acme").refused(400, "tenant_malformed").await;
    ask().tenant("acme").tenant("globex").refused(400, "tenant_malformed").await;
    ask().header("x-tenant", "acme").header("X-Tenant", "acme").refused(400, "tenant_malformed").await;
    let host = || ask().header("host", "acme.example.com");
    assert_eq!(host().send().await.text(), "acme");
    let query = |query: &str| Call::new(router(&world.api.tenancy), Method::GET, format!("/?{query}"));
    for twice in ["tenant=acme&tenant=acme", "tenant=acme&tenant=globex", "tenant_id=acme&%74enant_id=acme"] {
        query(twice).tenant("acme").refused(400, "tenant_malformed").await;
        query(twice).refused(400, "tenant_malformed").await;
    }
    host().header("host", "acme.example.com").refused(400, "malformed_request").await;
    host().header("host", "globex.example.com").refused(400, "malformed_request").await;
    ask().header("host", b"acme\xff.example.com").refused(400, "malformed_request").await;
}

/// E2, over a socket: no library in between tidies the head up.
#[tokio::test]
async fn e2_duplicates_are_refused_on_the_wire() {
    let world = with_hosts().await;
    let wire = Wire::serve(router(&world.api.tenancy)).await;
    let exchange = async |head: &str| wire.exchange(head, "").await;
    let line = "GET / HTTP/1.1\r\n";
    let one = exchange(&format!("{line}Host: localhost\r\nX-Tenant-Id: acme\r\n")).await;
    assert!(one.starts_with("HTTP/1.1 200 ") && one.ends_with("acme"), "{one}");
    for (head, code) in [
        ("Host: localhost\r\nX-Tenant-Id: acme\r\nx-tenant-id: globex\r\n", "tenant_malformed"),
        ("Host: localhost\r\nX-Tenant-Id: acme\r\nX-TENANT-ID: acme\r\n", "tenant_malformed"),
        ("Host: acme.example.com\r\nHost: globex.example.com\r\n", "malformed_request"),
        ("Host: acme.example.com\r\nHost: acme.example.com\r\n", "malformed_request"),
    ] {
        let answer = exchange(&format!("{line}{head}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(code), "{answer}");
    }
    let absolute = "GET http://acme.example.com/ HTTP/1.1\r\nHost: globex.example.com\r\n";
    assert!(exchange(absolute).await.contains("malformed_request"));
    let absolute = "GET http://acme.example.com/ HTTP/1.1\r\nHost: acme.example.com\r\n";
    assert!(exchange(absolute).await.ends_with("acme"));
}

/// S3, E1: a host names a tenant exactly, or nobody.
#[tokio::test]
async fn s3_host_names_tenant_exactly() {
    let world = with_hosts().await;
    let ask = |host: &str| ask(&world).header("host", host);
    assert_eq!(ask("acme.example.com").send().await.text(), "acme");
    assert_eq!(ask("ACME.example.com:8443").send().await.text(), "acme");
    for (host, status, code) in [
        ("example.com", 400, "tenant_required"),
        ("127.0.0.1:8080", 400, "tenant_required"),
        ("evil-example.com", 404, "tenant_not_found"),
        ("acme.example.com.evil.com", 404, "tenant_not_found"),
        ("nowhere.example.com", 404, "tenant_not_found"),
        ("a.acme.example.com", 400, "tenant_malformed"),
        ("acme.example.com.", 400, "tenant_malformed"),
        ("x@acme.example.com", 400, "tenant_malformed"),
    ] {
        ask(host).refused(status, code).await;
    }
    ask("acme.example.com").tenant("globex").refused(403, "tenant_mismatch").await;
    assert_eq!(ask("acme.example.com").tenant("acme").send().await.text(), "acme");
    let on_host = world.api.get("/users/me").token(&world.carol_in_acme.access);
    on_host.clone().header("host", "acme.example.com").answered(200).await;
    on_host.header("host", "globex.example.com").refused(403, "tenant_mismatch").await;
}

/// S4: without a trusted proxy, what a proxy would say is not looked at.
#[tokio::test]
async fn s4_forwarded_headers_are_ignored() {
    let world = with_hosts().await;
    let ask = |host: &str| ask(&world).header("host", host).header("x-request-id", "same");
    for host in ["acme.example.com", "example.com", "nowhere.example.com"] {
        let plain = ask(host).send().await;
        for (name, value) in [
            ("x-forwarded-host", "globex.example.com"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-server", "globex.example.com"),
            ("x-original-host", "globex.example.com"),
            ("x-real-ip", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1;host=globex.example.com"),
        ] {
            let forwarded = ask(host).header(name, value).send().await;
            assert!(forwarded == plain, "{name}: {forwarded:?} {plain:?}");
        }
    }
}

/// S1: with a token of one tenant, naming another gets the same bytes whether that other exists or not.
#[tokio::test]
async fn s1_token_decides_the_tenant() {
    let world = with_hosts().await;
    let id = world.globex_id();
    let me = || world.api.get("/users/me").token(&world.carol_in_acme.access).header("x-request-id", "same");
    for own in ["acme", world.acme_id()] {
        me().tenant(own).answered(200).await;
    }
    let mut answers: Vec<Answer> = Vec::new();
    for key in ["globex", "nowhere", id, "0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11"] {
        answers.push(me().tenant(key).send().await);
        answers.push(me().header("x-tenant-slug", key).send().await);
        answers.push(me().tenant("acme").header("x-tenant", key).send().await);
    }
    for host in ["globex.example.com", "nowhere.example.com", "globex.com"] {
        answers.push(me().header("host", host).send().await);
    }
    for answer in &answers {
        answer.refused(403, "tenant_mismatch");
        assert_eq!(answer, &answers[0]);
    }
}

/// S1: a query parameter chooses no tenant, and what it names must agree.
#[tokio::test]
async fn s1_query_must_agree_with_tenant() {
    let world = with_hosts().await;
    let ask = |query: &str| Call::new(router(&world.api.tenancy), Method::GET, format!("/?{query}"));
    let id = world.acme_id();
    for query in [
        "tenant=acme",
        "tenant_id=acme&tenant=acme",
        "%74enant=%61cme",
        "x=1&tenant=acme",
        "Tenant_Slug=acme",
    ] {
        assert_eq!(ask(query).tenant("acme").send().await.text(), "acme", "{query}");
        assert_eq!(ask(query).tenant(id).send().await.text(), "acme", "{query}");
        assert_eq!(ask(query).header("host", "acme.example.com").send().await.text(), "acme", "{query}");
    }
    for query in [
        "tenant=globex",
        "Tenant=globex",
        "tenant_slug=globex",
        "tenant_id=nowhere",
        "%74enant=%67lobex",
        "tenant=acme&tenant_id=globex",
    ] {
        ask(query).tenant("acme").refused(403, "tenant_mismatch").await;
        ask(query).refused(403, "tenant_mismatch").await;
    }
    ask("tenant=acme").refused(403, "tenant_mismatch").await;
    for query in [
        "tenant",
        "tenant=",
        "TENANT=",
        "tenant_slug=",
        "tenant=*",
        "tenant_id=Acme",
        "tenant=acme%00",
        "tenant=%ff",
        "tenant=a+b",
    ] {
        ask(query).tenant("acme").refused(400, "tenant_malformed").await;
        ask(query).refused(400, "tenant_malformed").await;
    }
    let person = json!({ "email": "eve@example.com", "password": PASSWORD });
    world.api.post("/auth/register?tenant=acme").json(person).refused(403, "tenant_mismatch").await;
}

/// What is not listed is the application's.
#[tokio::test]
async fn application_keeps_its_query_parameters() {
    let resolution = |names: &[&str]| Resolution {
        query_parameters: names.iter().map(ToString::to_string).collect(),
        ..Resolution::default()
    };
    for (names, status) in [(&[][..], 200), (&["org"], 200), (&["tenant"], 403)] {
        let api = Api::with(|builder| builder.resolution(resolution(names)));
        let owner = api.join(None, "ada@example.com").await;
        api.organization(&owner, "Acme").await;
        let filter = Call::new(router(&api.tenancy), Method::GET, "/?tenant=globex").tenant("acme");
        assert_eq!(filter.send().await.status.as_u16(), status, "{names:?}");
    }
}

#[tokio::test]
async fn configured_header_names_tenant() {
    let headers = vec!["x-org".to_owned()];
    let resolution = Resolution { headers, ..Resolution::default() };
    let api = Api::with(|builder| builder.resolution(resolution));
    let owner = api.join(None, "ada@example.com").await;
    api.organization(&owner, "Acme").await;
    let ask = || Call::new(router(&api.tenancy), Method::GET, "/");
    let answer = ask().header("X-Org", "acme").send().await;
    assert_eq!((answer.text(), answer.header("vary")), ("acme", Some("authorization, host, x-org")));
    ask().tenant("acme").refused(400, "tenant_required").await;
}
