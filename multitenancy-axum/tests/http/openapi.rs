//! What the document says is what is answered.

use std::{collections::BTreeSet, fs, path::Path};

use axum::http::Method;
use multitenancy_axum::openapi;
use multitenancy_core::{auth::PasswordPolicy, tenant::Resolution};
use serde_json::{Value, json};

use crate::support::{Answer, Api, Call, document};

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// The schema itself, where this is a reference to it.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect(reference),
        None => schema,
    }
}

/// What of a value its schema does not allow. Knows the words that the document uses.
fn faults(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let schema = resolved(document, schema);
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let mut found = Vec::new();
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    if !types.iter().any(|allowed| allowed == kind) {
        found.push(format!("{place} is {kind}, not {types:?}"));
    }
    if schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
        found.push(format!("{place} is {value}"));
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, value) in fields {
            match known.get(name) {
                Some(schema) => found.extend(faults(document, schema, value, &format!("{place}.{name}"))),
                None => found.push(format!("{place}.{name} is unknown")),
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
        found.extend(
            required.filter(|name| !fields.contains_key(*name)).map(|name| format!("{place}.{name} lacks")),
        );
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(faults(document, &schema["items"], item, &format!("{place}[]")));
    }
    found
}

/// Holds an answer against what the document says of its operation.
#[track_caller]
fn assert_documented(document: &Value, name: &str, answer: &Answer) {
    let (method, path) = name.split_once(' ').unwrap();
    let status = answer.status.as_str();
    let response = &document["paths"][path][method.to_lowercase()]["responses"][status];
    assert!(response.is_object(), "{status} is not documented: {answer:?}");
    for header in response["headers"].as_object().unwrap().keys() {
        assert!(answer.header(&header.to_lowercase()).is_some(), "{header}: {answer:?}");
    }
    match answer.header("content-type") {
        Some(media_type) => {
            let content = &response["content"][media_type];
            let found = faults(document, &content["schema"], &answer.json(), name);
            assert!(content.is_object() && found.is_empty(), "{found:?} {answer:?}");
        }
        None => assert!(response["content"].is_null(), "{answer:?}"),
    }
    let code = answer.json()["code"].as_str().map(str::to_owned);
    if let Some(code) = code {
        let described = response["description"].as_str().unwrap();
        assert!(described.contains(&format!("`{code}`")), "{code} is not in {described:?}: {answer:?}");
    }
}

/// Every operation, answering well and refusing: the status, the body and the headers are the documented ones. The
/// bodies are the document's own examples, which are accepted as they stand.
#[tokio::test]
async fn answers_match_the_document() {
    let api = Api::new();
    let document = document();
    let example = |path: &str, method: &str| {
        let body = &document["paths"][format!("/api/v1{path}")][method]["requestBody"];
        resolved(&document, &body["content"]["application/json"]["schema"])["example"].clone()
    };
    let check = async |name: &str, call: Call, status: u16| {
        let answer = call.send().await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert_documented(&document, name, &answer);
        answer.json()
    };
    let (register, login) = ("POST /api/v1/auth/register", "POST /api/v1/auth/login");
    let person = example("/auth/register", "post");
    check(register, api.post("/auth/register").json(person.clone()), 201).await;
    check(register, api.post("/auth/register").json(person.clone()), 409).await;
    check(register, api.post("/auth/register").json(json!({})), 422).await;
    check(register, api.post("/auth/register").tenant("nowhere").json(person.clone()), 404).await;
    check(register, api.post("/auth/register?tenant=acme").json(person.clone()), 403).await;
    check(register, api.post("/auth/register").body("{}"), 415).await;
    check(register, api.post("/auth/register").json(json!({ "email": "x".repeat(70_000) })), 413).await;
    let wrong = json!({ "email": person["email"], "password": "wrong" });
    check(login, api.post("/auth/login").json(wrong), 401).await;
    check(login, api.post("/auth/login").tenant("*").json(person), 400).await;
    let tokens = check(login, api.post("/auth/login").json(example("/auth/login", "post")), 200).await;
    let token = tokens["access_token"].as_str().unwrap().to_owned();

    let organizations = "POST /api/v1/organizations";
    let new = || api.post("/organizations").json(example("/organizations", "post"));
    let acme = check(organizations, new().token(&token), 201).await;
    check(organizations, new().token(&token), 409).await;
    check(organizations, new(), 401).await;
    check(organizations, new().token("x"), 401).await;
    let own = "GET /api/v1/organizations/me";
    check(own, api.get("/organizations/me").token(&token), 200).await;
    let read = "GET /api/v1/organizations/{id}";
    let path = format!("/organizations/{}", acme["id"].as_str().unwrap());
    check(read, api.get(&path).token(&token), 200).await;
    check(read, api.get("/organizations/0").token(&token), 404).await;

    let switch = "POST /api/v1/auth/switch";
    let enter = || api.post("/auth/switch").json(example("/auth/switch", "post"));
    let inside = check(switch, enter().token(&token), 200).await;
    check(switch, enter().token(&token).tenant("globex"), 403).await;
    let inside_token = inside["access_token"].as_str().unwrap();
    check(switch, enter().token(inside_token), 403).await;
    check(organizations, new().token(inside_token), 403).await;
    let (me, update) = ("GET /api/v1/users/me", "PUT /api/v1/users/me");
    check(me, api.get("/users/me").token(inside_token), 200).await;
    check(me, api.get(&format!("/users/me?{}", "x".repeat(9_000))).token(inside_token), 414).await;
    check(me, api.get("/users/me").token(inside_token).header("cookie", "x".repeat(17_000)), 431).await;
    check(update, api.put("/users/me").token(inside_token).json(example("/users/me", "put")), 200).await;
    check(update, api.put("/users/me").token(inside_token).json(json!({ "id": 1 })), 422).await;
    let refresh = json!({ "refresh_token": inside["refresh_token"] });
    check("POST /api/v1/auth/refresh", api.post("/auth/refresh").json(refresh.clone()), 200).await;
    check("POST /api/v1/auth/refresh", api.post("/auth/refresh").json(refresh), 401).await;
    check("POST /api/v1/auth/logout", api.post("/auth/logout").token(&token), 204).await;
    for path in ["/health", "/health/live", "/health/ready"] {
        check(&format!("GET {path}"), api.call(Method::GET, path), 200).await;
    }
}

/// The control: what does not fit is found.
#[test]
fn schema_check_finds_a_misfit() {
    let document = document();
    let schema = &document["components"]["schemas"]["HealthChecks"];
    assert_eq!(faults(&document, schema, &json!({ "store": "ok" }), "x"), Vec::<String>::new());
    for wrong in [json!({}), json!({ "store": 1 }), json!({ "store": "ok", "more": 1 }), json!([])] {
        assert!(!faults(&document, schema, &wrong, "x").is_empty(), "{wrong}");
    }
}

#[tokio::test]
async fn document_states_formats_and_limits() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let required = |name: &str| -> Vec<_> {
        schemas[name]["required"].as_array().unwrap().iter().map(|field| field.as_str().unwrap()).collect()
    };
    for name in ["User", "Organization", "Organizations", "Tokens", "Health", "Liveness"] {
        let fields = schemas[name]["properties"].as_object().unwrap().keys();
        let optional: Vec<_> = fields.filter(|field| !required(name).contains(&field.as_str())).collect();
        let expected = if name == "Tokens" { vec!["tenant_id"] } else { vec![] };
        assert_eq!(optional, expected, "{name}");
    }
    let values = |name: &str, field: &str| schemas[name]["properties"][field]["enum"].clone();
    let isolations = json!(["shared", "schema", "database"]);
    assert_eq!(values("Organization", "status"), json!(["provisioning", "active", "suspended", "canceled"]));
    assert_eq!(values("Organization", "isolation"), isolations);
    assert_eq!(values("NewOrganization", "isolation"), isolations);
    assert_eq!(values("Organization", "plan"), Value::Null, "an open set");
    assert_eq!(values("Tokens", "scope"), json!(["platform", "tenant"]));
    assert_eq!(values("Tokens", "token_type"), json!(["Bearer"]));
    let lengths = |name: &str, field: &str| {
        let field = &schemas[name]["properties"][field];
        (field["minLength"].as_u64(), field["maxLength"].as_u64())
    };
    assert_eq!(lengths("NewOrganization", "name"), (Some(1), Some(200)));
    assert_eq!(lengths("NewOrganization", "slug"), (Some(3), Some(63)));
    assert_eq!(lengths("Registration", "password"), (Some(12), Some(1024)));
    for (path, method, operation) in operations(&document) {
        let body = &operation["requestBody"];
        assert!(
            body.is_null() || body["description"].as_str().unwrap().contains("64 KiB"),
            "{method} {path}"
        );
        let bare = path.ends_with("/logout") || path.contains("/tenants/{id}/");
        let required = ["post", "put"].contains(&method) && !bare;
        assert!(!required || body.is_object(), "{method} {path}");
    }
    // What is required of a request is what is refused without.
    assert_eq!(required("NewOrganization"), ["name"]);
}

/// Every value in the document that is a number, by the place where it is described.
fn numbers(value: &Value, place: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let kinds = map.get("type").map(|kinds| kinds.as_array().cloned().unwrap_or(vec![kinds.clone()]));
            if kinds
                .is_some_and(|kinds| kinds.contains(&json!("integer")) || kinds.contains(&json!("number")))
            {
                into.insert(place.to_owned());
            }
            for (name, value) in map {
                numbers(value, &format!("{place}/{name}"), into);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                numbers(item, &format!("{place}/{at}"), into);
            }
        }
        _ => {}
    }
}

/// E4: what counts is never shown. The numbers in the document are known one by one, and none of them names anything;
/// that nothing is answered but what is documented is `answers_match_the_document`.
#[test]
fn e4_no_documented_id_is_a_number() {
    let document = document();
    let mut found = BTreeSet::new();
    numbers(&document, "", &mut found);
    // So many seconds.
    found.retain(|place| !place.ends_with("/headers/Retry-After/schema"));
    let known = ["Problem/properties/status", "Tokens/properties/expires_in"];
    assert_eq!(found, BTreeSet::from(known.map(|name| format!("/components/schemas/{name}"))));
    let text = document.to_string();
    assert!(!text.contains("\"sequence\""), "the place of an event in its queue is nobody's business");
    // The control: one that is there is found, also among several types and in a parameter.
    for (wrong, at) in [
        (json!({ "properties": { "id": { "type": "integer" } } }), "/properties/id"),
        (
            json!({ "parameters": [{ "name": "id", "schema": { "type": ["null", "number"] } }] }),
            "/parameters/0/schema",
        ),
    ] {
        let mut found = BTreeSet::new();
        numbers(&wrong, "", &mut found);
        assert_eq!(found, BTreeSet::from([at.to_owned()]));
    }
}

/// The document is of this application: its header, its parameters, its passwords.
#[test]
fn document_reflects_the_configuration() {
    let document_of = |resolution: Resolution| {
        let api = Api::with(|builder| builder.resolution(resolution).password_policy(PasswordPolicy::nist()));
        serde_json::to_value(openapi(&api.tenancy, "/v2")).unwrap()
    };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let renamed = document_of(Resolution { headers: names(&["x-org"]), ..Resolution::default() });
    for (path, _, operation) in operations(&renamed).filter(|(path, ..)| path.starts_with("/v2")) {
        let headers: Vec<_> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "header")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(headers, ["x-org"], "{path}");
    }
    assert!(!renamed.to_string().to_lowercase().contains("x-tenant"));
    assert_eq!(renamed["components"]["schemas"]["Registration"]["properties"]["password"]["minLength"], 15);
    let none = document_of(Resolution { headers: Vec::new(), ..Resolution::default() });
    assert!(!none.to_string().contains("\"in\":\"header\""));
    let aliases = document().to_string();
    assert!(
        aliases.contains("x-tenant-id")
            && aliases.contains("`x-tenant-slug`")
            && aliases.contains("`tenant_id`")
    );
}

/// A code that the sources make by hand is not in the core's table, so it would not be documented.
#[test]
fn sources_take_every_code_from_the_table() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut by_hand = Vec::new();
    for name in ["multitenancy-core", "multitenancy-sqlx", "multitenancy-axum"] {
        collect_codes(&crates.join(name).join("src"), &mut by_hand);
    }
    assert_eq!(
        by_hand,
        ["malformed_json", "timeout"],
        "take it from error::code, or list it in problem/codes.rs"
    );
    let document = document();
    let table = document["components"]["schemas"]["Problem"]["description"].as_str().unwrap();
    for row in ["| `timeout` | 503 | ", "| `tenant_inactive` | 403 | ", "| `commit_unknown` | 500 | "] {
        assert!(table.contains(row), "{row}");
    }
}

/// The second argument of every `Error::new` and `Problem::new`, as far as it is a text.
fn collect_codes(directory: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_codes(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            let calls = ["Error::new(", "Problem::new("].map(|call| source.split(call).skip(1));
            for call in calls.into_iter().flatten() {
                let second = call.split_once(',').map(|(_, rest)| rest.trim_start());
                let code = second.and_then(|text| text.strip_prefix('"')?.split_once('"'));
                into.extend(code.map(|(code, _)| code.to_owned()));
            }
        }
    }
}

#[test]
fn document_describes_bodies_and_refusals() {
    let document = document();
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let problem = document["components"]["schemas"]["Problem"]["description"].as_str().unwrap();
    assert!(problem.contains("`tenant_mismatch` | 403"));
    for (_, _, operation) in operations(&document) {
        assert!(operation["summary"].is_string() && operation["operationId"].is_string());
        let refusal = &operation["responses"]["default"]["content"]["application/problem+json"];
        assert_eq!(refusal["schema"]["$ref"], "#/components/schemas/Problem");
    }
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect_references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
        _ => {}
    }
}
