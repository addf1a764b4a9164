//! S51, S54, S59, S60: from when until when a token is good, and which secrets may sign.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use jsonwebtoken::{EncodingKey, Header};
use multitenancy_core::{
    Environment, ErrorKind, Plane, Result, SessionId, Tenancy, TenancyBuilder, Timestamp, UserId,
    auth::{AccessTokens, Claims, KeyRing, SigningKey, TokenConfig},
    environment::SystemRandom,
    memory::MemoryStore,
};
use multitenancy_testkit::{
    MockClock, ProbedStore,
    fixtures::{after, moment},
};

use crate::support::{SECRET, alone, code, member, shown};

const OLD: &str = "pA9sK3jD7fL1qW5eR8tY2uI6oP0zX4cV";

fn tokens(clock: &MockClock, ring: KeyRing) -> AccessTokens {
    let environment = Environment::new(Arc::new(clock.clone()), Arc::new(SystemRandom));
    AccessTokens::new(TokenConfig::default(), ring, environment).unwrap()
}

fn ring(secret: &str) -> KeyRing {
    KeyRing::new(SigningKey::hs256(&secret.into()).unwrap())
}

fn issue(tokens: &AccessTokens) -> String {
    let environment = Environment::system();
    let (user, session) = (UserId::generate(&environment), SessionId::generate(&environment));
    tokens.issue(Plane::Control, user, session, &member()).unwrap()
}

/// S59, S60: a token is good for 900 s on the injected clock, not a microsecond longer, cached or not.
#[test]
fn s59_s60_a_token_ends_at_its_exp() {
    let clock = MockClock::new(after(0) - TimeDelta::microseconds(89_012));
    let (caching, other) = (tokens(&clock, ring(SECRET)), tokens(&clock, ring(SECRET)));
    let token = issue(&caching);
    caching.verify(&token).unwrap();
    let end = multitenancy_core::Clock::now(&clock) + TimeDelta::seconds(900);
    clock.set(end - moment());
    assert!(caching.verify(&token).is_ok() && other.verify(&token).is_ok());
    for at in [end, end + moment(), end + TimeDelta::seconds(30), end + TimeDelta::days(400)] {
        clock.set(at);
        assert_eq!(code(caching.verify(&token)), "invalid_token", "cached, at {at}");
        assert_eq!(code(tokens(&clock, ring(SECRET)).verify(&token)), "invalid_token", "not cached, at {at}");
    }
}

/// S59: another replica's clock may be 30 s ahead, no more.
#[test]
fn s59_a_token_from_the_future_is_not_good_yet() {
    let now = after(0) - TimeDelta::microseconds(89_012);
    for (ahead, good) in [(0, true), (30, true), (31, false), (3600, false)] {
        let theirs = MockClock::new(now + TimeDelta::seconds(ahead));
        let token = issue(&tokens(&theirs, ring(SECRET)));
        let verified = tokens(&MockClock::new(now), ring(SECRET)).verify(&token);
        assert_eq!(verified.is_ok(), good, "{ahead} s ahead");
    }
    let token = issue(&tokens(&MockClock::new(now), ring(SECRET)));
    let crafted = |change: fn(&mut Claims, u32)| {
        let clock = MockClock::new(now);
        let tokens = tokens(&clock, ring(SECRET));
        let mut claims = Claims::clone(&tokens.verify(&token).unwrap());
        let issued_at = claims.iat;
        change(&mut claims, issued_at);
        let header = Header {
            kid: Some(SigningKey::hs256(&SECRET.into()).unwrap().kid().into()),
            typ: Some(AccessTokens::TYPE.into()),
            ..Header::default()
        };
        let crafted =
            jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        tokens.verify(&crafted).is_ok()
    };
    assert!(crafted(|_, _| {}));
    assert!(crafted(|claims, now| claims.nbf = now + 30) && !crafted(|claims, now| claims.nbf = now + 31));
    assert!(crafted(|claims, now| claims.iat = now + 30) && !crafted(|claims, now| claims.iat = now + 31));
    assert!(!crafted(|claims, now| claims.exp = now) && !crafted(|claims, now| claims.exp = now - 1));
    assert!(!crafted(|claims, now| (claims.iat, claims.exp) = (now + 20, now + 10)), "over before it began");
}

/// S59: no access token lives longer than 15 minutes, and none no time.
#[test]
fn s59_the_longest_life_is_900_seconds() {
    for (seconds, allowed) in [(0, false), (1, true), (900, true), (901, false), (86_400, false)] {
        let config = TokenConfig { ttl: Duration::from_secs(seconds), ..TokenConfig::default() };
        let made = AccessTokens::new(config, ring(SECRET), Environment::system());
        assert_eq!(made.is_ok(), allowed, "{seconds} s");
    }
}

/// Values beyond the calendar's or the cache's end are refused where they are set, not at the first login.
#[test]
fn lifetimes_have_bounds() {
    let built = |change: fn(TenancyBuilder, u64) -> TenancyBuilder, seconds: u64| {
        let keys = KeyRing::new(SigningKey::hs256(&SECRET.into()).unwrap());
        let builder = Tenancy::builder(MemoryStore::default()).keys(keys).without_background_work();
        change(builder, seconds).build().map(drop).map_err(|error| error.kind())
    };
    let session = |builder: TenancyBuilder, seconds| builder.session_lifetime(Duration::from_secs(seconds));
    let cache = |builder: TenancyBuilder, seconds| builder.tenant_cache_ttl(Duration::from_secs(seconds));
    for (seconds, lasts, remembered) in [
        (0, false, true),
        (1, true, true),
        (31_536_000, true, true),
        (31_536_001, false, false),
        (u64::MAX, false, false),
    ] {
        let outcome = |allowed| if allowed { Ok(()) } else { Err(ErrorKind::Config) };
        assert_eq!(built(session, seconds), outcome(lasts), "a session of {seconds} s");
        assert_eq!(built(cache, seconds), outcome(remembered), "a cache of {seconds} s");
    }
}

/// S54: a retired key's tokens are good until the stated instant, cached or not, and it signs nothing new.
#[test]
fn s54_a_retired_key_stops_at_its_time() {
    let clock = MockClock::default();
    let old = issue(&tokens(&clock, ring(OLD)));
    let until: Timestamp = after(300);
    let rotated =
        || tokens(&clock, ring(SECRET).with_retired(SigningKey::hs256(&OLD.into()).unwrap(), until));
    let caching = rotated();
    assert!(caching.verify(&old).is_ok());
    let new = issue(&caching);
    assert!(tokens(&clock, ring(SECRET)).verify(&new).is_ok(), "signed with the current key");
    assert_eq!(code(tokens(&clock, ring(OLD)).verify(&new)), "invalid_token");
    clock.set(until - moment());
    assert!(caching.verify(&old).is_ok() && rotated().verify(&old).is_ok());
    for at in [until, until + moment(), until + TimeDelta::seconds(10)] {
        clock.set(at);
        assert_eq!(code(caching.verify(&old)), "invalid_token", "cached, at {at}");
        assert_eq!(code(rotated().verify(&old)), "invalid_token", "not cached, at {at}");
        assert!(caching.verify(&new).is_ok(), "the current key goes on");
    }
}

/// S58: a rotation refuses no token that is good: old ones go on beside new ones.
#[test]
fn s58_a_rotation_refuses_nobody() {
    let clock = MockClock::default();
    let secrets: Vec<String> = (0..20).map(|index| format!("{index:02}{}", &SECRET[2..])).collect();
    let key = |index: usize| SigningKey::hs256(&secrets[index].as_str().into()).unwrap();
    let mut outstanding: Vec<(String, Timestamp)> = Vec::new();
    for current in 0..secrets.len() {
        let mut ring = KeyRing::new(key(current));
        for (retired, age) in (0..current).rev().zip(0_i64..) {
            let until = after(300 * current as i64 - 300 * age + 900);
            ring = ring.with_retired(key(retired), until);
        }
        clock.set(after(300 * current as i64));
        let tokens = tokens(&clock, ring);
        let now = multitenancy_core::Clock::now(&clock);
        outstanding.push((issue(&tokens), now + TimeDelta::seconds(899)));
        for (token, end) in &outstanding {
            assert_eq!(tokens.verify(token).is_ok(), now < *end, "at rotation {current}");
        }
    }
}

fn composed(secret: Option<&str>) -> Result<Tenancy> {
    let store = ProbedStore::yielding(Arc::new(MemoryStore::default())).without_local_secret();
    let builder = Tenancy::builder(store).without_background_work();
    match secret {
        Some(secret) => builder.keys(KeyRing::new(SigningKey::hs256(&secret.into())?)).build(),
        None => builder.build(),
    }
}

/// S51: nothing starts with a secret that is short, comes from documentation or looks it; the error says what to do.
#[test]
fn s51_a_weak_secret_makes_no_key() {
    let weak = [
        "",
        "secret",
        &SECRET[..31],
        "change-me-change-me-change-me-change-me",
        "your-256-bit-secret-your-256-bit-secret",
        "12345678901234567890123456789012",
        "0123456789abcdef0123456789abcdef",
        "0123456789012345678901234567890123456789",
        &SECRET[..16].repeat(3),
        "abcdefghijklmnopqrstuvwxyz123456",
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "passwordpasswordpasswordpassword1",
        "qwertyuiopasdfghjklzxcvbnm123456",
        "mysecretkeymysecretkeymysecretkey",
        "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd",
        "this-is-a-secret-key-for-development-only",
        "jwt-secret-jwt-secret-jwt-secret-jwt-secret",
    ];
    for secret in weak {
        let (kind, _, text) = shown(composed(Some(secret)));
        assert_eq!(kind, ErrorKind::Config, "{secret}");
        assert!(text.contains("openssl rand"), "{text}");
    }
    for good in [
        SECRET,
        OLD,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "u7Ozq1m8+4Vt/2Yp6WcXk0s9LbRfE3hG5JdNaTiQwKo=",
    ] {
        assert!(composed(Some(good)).is_ok(), "{good}");
    }
}

/// S51: with the variable unset, short, or a sample, a store that several processes share does not start. Run as a
/// process of its own for each, because a process has one environment.
#[test]
fn s51_the_variable_is_judged_like_a_key() {
    let started = |variables: &[(&str, &str)]| {
        let Err(printed) = alone("token_lifetime::s51_the_variable_is_judged_like_a_key", variables) else {
            let outcome = composed(None);
            println!("outcome: {}", outcome.map_or_else(|error| error.to_string(), |_| "started".into()));
            return None;
        };
        let line = printed.lines().find_map(|line| line.split_once("outcome: "));
        Some(line.unwrap_or_else(|| panic!("{printed}")).1.to_owned())
    };
    let Some(without) = started(&[]) else { return };
    assert!(without.contains("JWT_SECRET is not set"), "{without}");
    assert_eq!(started(&[("JWT_SECRET", "")]).unwrap(), without, "empty is as good as none");
    for weak in ["short", &SECRET[..31], "your-256-bit-secret-your-256-bit-secret"] {
        let refused = started(&[("JWT_SECRET", weak)]).unwrap();
        assert!(refused.contains("openssl rand"), "{weak:?}: {refused}");
    }
    assert_eq!(started(&[("JWT_SECRET", SECRET)]).as_deref(), Some("started"));
}
