//! S52, S53, S54, S56, S57, S60: which tokens are ours.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use multitenancy_core::{
    Environment, ErrorKind, Plane, SessionId, TenantId, UserId,
    auth::{AccessTokens, KeyRing, SigningKey, TokenConfig},
    environment::monotonic,
    secret::{Purpose, SecretToken},
};
use multitenancy_testkit::SeededRandom;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{ADA, App, SECRET, member, refresh_token, shown};

/// What every token that is not good gets.
fn assert_refused(tokens: &AccessTokens, token: &str, why: &str) {
    let expected = (
        ErrorKind::Unauthenticated,
        "invalid_token",
        "the access token is not valid, or no longer valid".to_owned(),
    );
    assert_eq!(shown(tokens.verify(token)), expected, "{why}");
}

fn tokens() -> AccessTokens {
    let ring = KeyRing::new(SigningKey::hs256(&SECRET.into()).unwrap());
    AccessTokens::new(TokenConfig::default(), ring, Environment::system()).unwrap()
}

fn issue(tokens: &AccessTokens) -> String {
    let environment = Environment::system();
    let (user, session) = (UserId::generate(&environment), SessionId::generate(&environment));
    tokens.issue(Plane::Tenant(TenantId::generate(&environment)), user, session, &member()).unwrap()
}

fn encode(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn decode(part: &str) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A token of this header and payload, as text, that our secret has signed.
fn signed(header: &str, payload: &str, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// The header and the payload of a good token.
fn parts(token: &str) -> (Value, String, String) {
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    (serde_json::from_str(&decode(header)).unwrap(), decode(payload), signature.to_owned())
}

/// S52: more than sixty mutations of a good token, each signed where it can be, and none of them good.
#[test]
fn s52_no_mutated_token_is_accepted() {
    let tokens = tokens();
    let good = issue(&tokens);
    let (header, payload, signature) = parts(&good);
    let resigned = signed(&header.to_string(), &payload, Algorithm::HS256);
    tokens.verify(&resigned).expect("what these tests craft is good unless it is mutated");

    let with = |member: &str, value: Value| {
        let mut header = header.clone();
        header[member] = value;
        header.to_string()
    };
    let without = |member: &str| {
        let mut header = header.clone();
        header.as_object_mut().unwrap().remove(member);
        header.to_string()
    };
    let kid = header["kid"].as_str().unwrap();
    let mut headers: Vec<String> = Vec::new();
    // Algorithms that are not the key's, under a signature that fits the key.
    for algorithm in [
        "none", "None", "NONE", "nOnE", "", " HS256", "hs256", "HS1", "HS384", "HS512", "RS256", "RS384",
        "RS512", "PS256", "ES256", "ES384", "EdDSA",
    ] {
        headers.push(with("alg", json!(algorithm)));
    }
    for odd in [json!(null), json!(256), json!(["HS256"]), json!({"HS256": true}), json!(true)] {
        headers.push(with("alg", odd));
    }
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("at+JWT"),
        json!("application/at+jwt"),
        json!(null),
        json!(1),
        json!("rt+jwt"),
    ] {
        headers.push(with("typ", typ));
    }
    for odd in
        [json!(null), json!(""), json!(1), json!([kid]), json!(kid.to_uppercase()), json!(format!("{kid}\0"))]
    {
        headers.push(with("kid", odd));
    }
    headers.extend(["alg", "typ", "kid"].map(without));
    for (member, value) in [
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("url", json!("https://evil.example")),
        ("nonce", json!("1")),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("iss", json!("multitenancy")),
        ("", json!("")),
        ("alg ", json!("none")),
        ("epk", json!({})),
    ] {
        headers.push(with(member, value));
    }
    headers.push(format!(r#"{{"alg":"none",{}"#, &header.to_string()[1..]));
    headers.push(format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}","kid":"{kid}"}}"#));
    headers.extend(["", "null", "[]", "\"HS256\"", "{", "{}"].map(str::to_owned));

    let count = headers.len();
    for header in headers {
        assert_refused(&tokens, &signed(&header, &payload, Algorithm::HS256), &header);
    }
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        assert_refused(
            &tokens,
            &signed(&with("alg", json!(name)), &payload, algorithm),
            "an honest longer HMAC",
        );
        assert_refused(&tokens, &signed(&header.to_string(), &payload, algorithm), "a longer HMAC as HS256");
    }
    let unsigned = format!("{}.{}.", encode(with("alg", json!("none"))), encode(&payload));
    assert_refused(&tokens, &unsigned, "alg none without a signature");
    assert!(count >= 40, "{count}");
    tokens.verify(&good).expect("the good one is still good");
    let _ = signature;
}

/// S52, E11: a token has one spelling. Cut, padded, prolonged, moved and recoded ones are refused, and none panics.
#[test]
fn s52_a_token_has_one_spelling() {
    let tokens = tokens();
    let good = issue(&tokens);
    tokens.verify(&good).unwrap();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    for end in 0..good.len() {
        assert_refused(&tokens, &good[..end], "cut off");
    }
    for index in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        assert_refused(&tokens, std::str::from_utf8(&bytes).unwrap(), "one character changed");
    }
    let other = issue(&tokens);
    let other_signature = other.rsplit('.').next().unwrap();
    let mut spellings = vec![
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("\t{good}"),
        format!("Bearer {good}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{other_signature}"),
        format!("{payload}.{header}.{signature}"),
        format!("{header}.{payload}.{signature}.a.b"),
        good.to_uppercase(),
        good.to_lowercase(),
        good.repeat(2),
        format!("\"{good}\""),
        format!("{good}\0"),
        format!("\0{good}"),
        format!("{good}#"),
        format!("{good}\u{feff}"),
        "a.b.c".to_owned(),
        "..".to_owned(),
        ".".to_owned(),
        "é.é.é".to_owned(),
        "\u{1F511}".to_owned(),
    ];
    // The last character of 32 bytes has two bits to spare: other values of them are not a second spelling.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    for spare in 1..4 {
        let twin = alphabet.as_bytes()[place ^ spare] as char;
        spellings.push(format!("{header}.{payload}.{}{twin}", &signature[..signature.len() - 1]));
    }
    for spelling in &spellings {
        assert_refused(&tokens, spelling, spelling);
    }
    assert_refused(&tokens, &"a".repeat(AccessTokens::MAX_LEN + 1), "too long");
    assert_refused(&tokens, &format!("{header}.{}.{signature}", "A".repeat(3000)), "another payload");
    for _ in 0..3 {
        tokens.verify(&good).unwrap();
    }
}

/// S53: a `kid` is looked up in memory and nowhere else, whatever it says, and members that point to other keys
/// refuse the token.
#[test]
fn s53_a_kid_is_only_a_name() {
    let tokens = tokens();
    let (header, payload, _) = parts(&issue(&tokens));
    let huge = "k".repeat(1024 * 1024);
    let kids = [
        "../../dev/null",
        "/dev/null",
        "/etc/passwd",
        "file:///dev/null",
        "https://evil.example/jwks.json",
        "' OR 1=1 --",
        "x' UNION SELECT 'key' --",
        "$(id)",
        "`id`",
        "{{7*7}}",
        "\u{0}",
        "..\\..\\nul",
        "0",
        "-1",
        "*",
        "default",
        huge.as_str(),
    ];
    for kid in kids {
        let mut header = header.clone();
        header["kid"] = json!(kid);
        let token = signed(&header.to_string(), &payload, Algorithm::HS256);
        // The quickest of a few: one may wait for the machine.
        let quickest = (0..5).map(|_| {
            let started = monotonic();
            assert_refused(&tokens, &token, "kid");
            started.elapsed()
        });
        assert!(quickest.min() < Some(Duration::from_secs(1)), "a kid of {} bytes costs time", kid.len());
    }
    let key = json!({"kty": "oct", "k": encode(SECRET), "alg": "HS256"});
    for (member, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("jwk", key.clone()),
        ("jwk", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("jwks", json!({"keys": [key]})),
    ] {
        let mut header = header.clone();
        header[member] = value;
        assert_refused(&tokens, &signed(&header.to_string(), &payload, Algorithm::HS256), member);
    }
}

/// S54: a `kid` is good for one issuer: two with the same key, and so the same `kid`, refuse each other's tokens.
/// S57: and so do two deployments of one issuer.
#[test]
fn s54_s57_another_issuer_or_audience_is_another_world() {
    let world = |issuer: &str, audience: &str| {
        let ring = KeyRing::new(SigningKey::hs256(&SECRET.into()).unwrap());
        let config = TokenConfig {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            ..TokenConfig::default()
        };
        AccessTokens::new(config, ring, Environment::system()).unwrap()
    };
    let worlds =
        [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("A", "x"), ("a", "x "), ("a ", "x"), ("", "x")];
    let worlds = worlds.map(|(issuer, audience)| world(issuer, audience));
    for (issuing, issuer) in worlds.iter().enumerate() {
        let token = issue(issuer);
        for (verifying, verifier) in worlds.iter().enumerate() {
            assert_eq!(verifier.verify(&token).is_ok(), issuing == verifying, "{issuing} at {verifying}");
        }
    }
    let secrets = [SECRET, "pA9sK3jD7fL1qW5eR8tY2uI6oP0zX4cV"];
    let [ours, theirs] = secrets.map(|secret| {
        let ring = KeyRing::new(SigningKey::hs256(&secret.into()).unwrap());
        AccessTokens::new(TokenConfig::default(), ring, Environment::system()).unwrap()
    });
    assert_refused(&ours, &issue(&theirs), "another key");
}

/// S56: each kind of token is good for its own purpose only.
#[tokio::test]
async fn s56_token_kinds_exclude_each_other() {
    let app = App::new();
    let platform = app.platform().await;
    let (_, realm) = app.tenant("acme").await;
    for realm in [platform, realm] {
        app.register(&realm, ADA).await;
        let signed_in = app.log_in(&realm, ADA).await.unwrap();
        let access = signed_in.access_token.expose_secret().to_owned();
        let refresh = refresh_token(&signed_in);
        let tokens = app.tenancy.access().tokens();
        let facts = Default::default();

        assert!(tokens.verify(&access).is_ok());
        assert_refused(tokens, refresh.expose_secret(), "a refresh token as an access token");
        let crossed = app.tenancy.accounts().refresh(&access.as_str().into(), &facts).await;
        assert_eq!(shown(crossed).1, "invalid_refresh_token", "an access token as a refresh token");
        // The access token's own claims, under the type of another kind.
        let (header, payload, _) = parts(&access);
        for typ in ["JWT", "rt+jwt", "verify+jwt", "reset+jwt", "invite+jwt", "id+jwt", "logout+jwt"] {
            let mut header = header.clone();
            header["typ"] = json!(typ);
            assert_refused(tokens, &signed(&header.to_string(), &payload, Algorithm::HS256), typ);
        }
        // A refresh token under the prefix of another purpose, or of none.
        let bare = refresh.expose_secret().strip_prefix("rt.").unwrap();
        for other in [
            bare.to_owned(),
            format!("vt.{bare}"),
            format!("RT.{bare}"),
            format!("rt..{bare}"),
            format!("rt.rt.{bare}"),
        ] {
            assert!(SecretToken::parse(Purpose::Refresh, &other).is_none(), "{other}");
            let crossed = app.tenancy.accounts().refresh(&other.into(), &facts).await;
            assert_eq!(shown(crossed).1, "invalid_refresh_token");
        }
        assert!(app.tenancy.accounts().refresh(&refresh, &facts).await.is_ok(), "and it is good for its own");
    }
}

/// S60: many tokens that differ in little, looked up again and again, among cached ones: each gives its own identity
/// or none.
#[test]
fn s60_the_cache_never_mixes_identities() {
    const TOKENS: usize = 400;
    const LOOKUPS: u64 = 60_000;
    let (tokens, random, environment) = (tokens(), SeededRandom::from_env(), Environment::system());
    let session = SessionId::generate(&environment);
    // The same in everything but the user, and neighbours in that.
    let base = uuid::Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0000);
    let issued: Vec<(UserId, String)> = (0..TOKENS)
        .map(|index| {
            let user = UserId::from_uuid(uuid::Uuid::from_u128(base.as_u128() + index as u128));
            (user, tokens.issue(Plane::Control, user, session, &member()).unwrap())
        })
        .collect();
    for (user, token) in &issued {
        assert_eq!(tokens.verify(token).unwrap().sub, *user);
    }
    for _ in 0..LOOKUPS {
        let (user, token) = &issued[usize::try_from(random.number(0..TOKENS as u64)).unwrap()];
        let (_, other) = &issued[usize::try_from(random.number(0..TOKENS as u64)).unwrap()];
        let place = usize::try_from(random.number(0..token.len() as u64)).unwrap();
        // One's beginning and another's end: equal in all but a few characters.
        let crossed = format!("{}{}", &token[..place], &other[place..]);
        match tokens.verify(&crossed) {
            Ok(claims) => assert!(crossed == *token && claims.sub == *user || crossed == *other),
            Err(_) => assert!(crossed != *token && crossed != *other),
        }
        assert_eq!(tokens.verify(token).unwrap().sub, *user);
    }
}
