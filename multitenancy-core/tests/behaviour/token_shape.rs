//! S55: every claim is required, once, with its one JSON type.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use multitenancy_core::{
    Environment, Plane, SessionId, TenantId, UserId,
    auth::{AccessTokens, KeyRing, SigningKey, TokenConfig},
};
use serde_json::Value;

use crate::support::{SECRET, code, member};

/// The members of a good payload as their JSON texts, in order.
type Members = Vec<(String, String)>;

struct Crafter {
    tokens: AccessTokens,
    header: String,
    tenant: Members,
    platform: Members,
}

impl Crafter {
    fn new() -> Self {
        let environment = Environment::system();
        let ring = KeyRing::new(SigningKey::hs256(&SECRET.into()).unwrap());
        let tokens = AccessTokens::new(TokenConfig::default(), ring, environment.clone()).unwrap();
        let payload = |plane| {
            let (user, session) = (UserId::generate(&environment), SessionId::generate(&environment));
            let token = tokens.issue(plane, user, session, &member()).unwrap();
            let (header, payload) = (token.split('.').next().unwrap(), token.split('.').nth(1).unwrap());
            let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
            let members = claims.as_object().unwrap().iter();
            (header.to_owned(), members.map(|(name, value)| (name.clone(), value.to_string())).collect())
        };
        let (header, tenant) = payload(Plane::Tenant(TenantId::generate(&environment)));
        let (_, platform) = payload(Plane::Control);
        Self { tokens, header, tenant, platform }
    }

    /// Whether a token with this payload is accepted; our own secret has signed it.
    fn accepts(&self, payload: &str) -> bool {
        let message = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(payload));
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        match self.tokens.verify(&format!("{message}.{signature}")) {
            Ok(_) => true,
            refused => {
                assert_eq!(code(refused), "invalid_token", "{payload}");
                false
            }
        }
    }
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", members.join(","))
}

fn with(members: &Members, name: &str, value: &str) -> String {
    let mut members = members.clone();
    members.retain(|(other, _)| other != name);
    members.push((name.to_owned(), value.to_owned()));
    object(&members)
}

const CLAIMS: [&str; 11] = ["iss", "aud", "sub", "scope", "tid", "sid", "jti", "roles", "iat", "nbf", "exp"];

/// S55: a claim that is missing, or there twice, refuses the token.
#[test]
fn s55_every_claim_is_required_once() {
    let crafter = Crafter::new();
    assert!(crafter.accepts(&object(&crafter.tenant)) && crafter.accepts(&object(&crafter.platform)));
    for claim in CLAIMS {
        let without: Members = crafter.tenant.iter().filter(|(name, _)| name != claim).cloned().collect();
        assert_eq!(without.len() + 1, crafter.tenant.len(), "{claim} is there");
        assert!(!crafter.accepts(&object(&without)), "without {claim}");

        let mut twice = crafter.tenant.clone();
        let own = twice.iter().find(|(name, _)| name == claim).unwrap().clone();
        twice.push(own.clone());
        assert!(!crafter.accepts(&object(&twice)), "{claim} twice");
        for spelling in [claim.to_uppercase(), format!("{claim} "), format!(" {claim}")] {
            let mut renamed = without.clone();
            renamed.push((spelling.clone(), own.1.clone()));
            assert!(!crafter.accepts(&object(&renamed)), "{spelling:?} for {claim}");
        }
    }
}

/// S55: a claim of the wrong JSON type is as good as none.
#[test]
fn s55_every_claim_has_one_type() {
    let crafter = Crafter::new();
    let never = [
        "null",
        "true",
        "false",
        "{}",
        "1e400",
        "-1e400",
        "-1",
        "0.5",
        "[[]]",
        "[null]",
        "[1]",
        "\"\\ud83d\\ude00\"",
    ];
    for claim in CLAIMS {
        let own = &crafter.tenant.iter().find(|(name, _)| name == claim).unwrap().1;
        for value in never {
            assert!(!crafter.accepts(&with(&crafter.tenant, claim, value)), "{claim}: {value}");
        }
        assert!(!crafter.accepts(&with(&crafter.tenant, claim, &format!("[{own}]"))), "{claim} in an array");
        assert!(
            !crafter.accepts(&with(&crafter.tenant, claim, &format!("{{\"value\":{own}}}"))),
            "{claim} in an object"
        );
    }
    for number in ["iat", "nbf", "exp"] {
        let own = &crafter.tenant.iter().find(|(name, _)| name == number).unwrap().1;
        for value in [
            format!("\"{own}\""),
            format!("{own}.0"),
            format!("{own}.5"),
            format!("{own}e0"),
            "4294967296".into(),
            "18446744073709551616".into(),
            "1e10".into(),
            "0".into(),
            format!("-{own}"),
            "\"\"".into(),
            "NaN".into(),
            "Infinity".into(),
            format!("0{own}"),
            format!("+{own}"),
            format!("0x{own}"),
        ] {
            let accepted = crafter.accepts(&with(&crafter.tenant, number, &value));
            // What began in 1970 is only odd; what ended then is over.
            assert!(!accepted || (value == "0" && number != "exp"), "{number}: {value}");
        }
    }
    for text in ["iss", "aud", "sub", "scope", "tid", "sid", "jti"] {
        for value in
            ["0", "1", "[]", "\"\"", "\" \"", "\"multitenancy \"", "\"Multitenancy\"", "\"*\"", "\"../x\""]
        {
            assert!(!crafter.accepts(&with(&crafter.tenant, text, value)), "{text}: {value}");
        }
    }
    for roles in [
        "\"member\"",
        "{\"0\":\"member\"}",
        "[\"\"]",
        "[\"Member\"]",
        "[\"member\",1]",
        "[[\"member\"]]",
        "0",
        "[\"a b\"]",
    ] {
        assert!(!crafter.accepts(&with(&crafter.tenant, "roles", roles)), "{roles}");
    }
}

/// S55: the scope and the tenant fit: a tenant's token has a `tid`, the platform's has none, not even null.
#[test]
fn s55_scope_and_tenant_fit() {
    let crafter = Crafter::new();
    let tenant = crafter.tenant.iter().find(|(name, _)| name == "tid").unwrap().1.clone();
    assert!(!crafter.accepts(&with(&crafter.platform, "tid", &tenant)), "platform with a tenant");
    assert!(!crafter.accepts(&with(&crafter.platform, "tid", "null")), "platform with null");
    assert!(!crafter.accepts(&with(&crafter.platform, "tid", "\"\"")), "platform with nothing");
    assert!(
        !crafter.accepts(&with(&crafter.tenant, "scope", "\"platform\"")),
        "a tenant's as the platform's"
    );
    assert!(
        !crafter.accepts(&with(&crafter.platform, "scope", "\"tenant\"")),
        "the platform's as a tenant's"
    );
    for scope in
        ["\"Tenant\"", "\"TENANT\"", "\"admin\"", "\"platform tenant\"", "[\"tenant\"]", "{\"tenant\":null}"]
    {
        assert!(!crafter.accepts(&with(&crafter.tenant, "scope", scope)), "{scope}");
    }
}

/// E11: a payload that is no JSON object is refused, and none panics.
#[test]
fn e11_a_payload_is_one_json_object() {
    let crafter = Crafter::new();
    let good = object(&crafter.tenant);
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for payload in [
        "",
        " ",
        "null",
        "[]",
        "0",
        "\"\"",
        "{",
        "}",
        "{}",
        &good[1..],
        &good[..good.len() - 1],
        &format!("{good}{good}"),
        &format!("[{good}]"),
        &format!("{good},"),
        &format!("{good}x"),
        &format!("\u{feff}{good}"),
        &deep,
    ] {
        assert!(!crafter.accepts(payload), "{payload:.60}");
    }
}
