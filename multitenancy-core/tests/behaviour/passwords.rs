//! S35, S36, S38: which new passwords are accepted, and what is stored of them.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use multitenancy_core::{
    Environment, ErrorKind, Result,
    auth::{HashingConfig, PasswordHash, PasswordHasher, PasswordPolicy, Verification},
};
use multitenancy_testkit::{failure, fixtures::email};

use crate::support::{ADA, App, PASSWORD, builder, credentials};

/// The code of the refusal, or `ok`.
fn judged(policy: &PasswordPolicy, password: &str) -> &'static str {
    verdict(policy.check(&password.into(), &email(ADA), &[]))
}

fn verdict(outcome: Result<()>) -> &'static str {
    match outcome {
        Ok(()) => "ok",
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert_eq!(error.fields()[0].field, "password");
            error.fields()[0].code
        }
    }
}

/// Text of so many characters in which zxcvbn finds nothing.
fn chance(length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 33) % 94).unwrap_or(0))
    };
    (0..length).map(|_| next()).collect()
}

/// S35: at least 12 characters (15 with the stricter preset), at most 1,024 bytes; a huge one is refused before any
/// work that grows with it.
#[test]
fn s35_lengths() {
    let (normal, strict) = (PasswordPolicy::default(), PasswordPolicy::nist());
    for (length, by_default, by_nist) in [
        (0, "too_short", "too_short"),
        (7, "too_short", "too_short"),
        (8, "too_short", "too_short"),
        (11, "too_short", "too_short"),
        (12, "ok", "too_short"),
        (14, "ok", "too_short"),
        (15, "ok", "ok"),
        (64, "ok", "ok"),
        (1024, "ok", "ok"),
        (1025, "too_long", "too_long"),
        (10 * 1024 * 1024, "too_long", "too_long"),
    ] {
        let password = chance(length);
        assert_eq!(
            (judged(&normal, &password), judged(&strict, &password)),
            (by_default, by_nist),
            "{length}"
        );
    }
}

/// S35: characters count, not bytes, for the least; bytes, not characters, for the most.
#[test]
fn s35_the_least_counts_characters_and_the_most_counts_bytes() {
    let policy = PasswordPolicy::default();
    assert_eq!(judged(&policy, "жуёмхлещбюя"), "too_short", "11 characters, 22 bytes");
    assert_ne!(judged(&policy, "жуёмхлещбюяц"), "too_short");
    assert_eq!(judged(&policy, &"☃".repeat(342)), "too_long", "342 characters, 1,026 bytes");
}

/// S36: spaces, any script and any symbols are welcome, and no class of characters is asked for.
#[test]
fn s36_no_rules_of_composition() {
    let policy = PasswordPolicy::default();
    for password in [
        "lintel walnut orbit fjord",
        "жёлтый камень поёт тихо",
        "東京の静かな朝の光と影と風",
        "🦊🌲🎻🧊🪁🛶🧭🪐🦉🍄🧵🪕",
        "quiet   harbor\tseven lanterns",
        "  leading and trailing  ",
        "ALL CAPITALS AND VERY LONG",
        "no digits in here at all",
        "8361 9047 2258 6613 9",
        "Ünïcödé fjörd nïght çäfé",
    ] {
        assert_eq!(judged(&policy, password), "ok", "{password}");
    }
    let classic = PasswordPolicy::classic();
    for (password, expected) in [
        ("lintel walnut orbit fjord", "too_simple"),
        ("LINTEL-WALNUT-46-ORBIT", "too_simple"),
        ("Lintel-Walnut-Orbit", "too_simple"),
        ("LintelWalnut46Orbit", "too_simple"),
        ("Lintel-Walnut-46-Orbit", "ok"),
    ] {
        assert_eq!(judged(&classic, password), expected, "{password}");
    }
}

fn hasher() -> PasswordHasher {
    PasswordHasher::new(&HashingConfig::default(), Environment::system()).unwrap()
}

async fn verify(hasher: &PasswordHasher, password: &str, hash: &PasswordHash) -> Verification {
    hasher.verify(password.into(), Some(hash.clone())).await.unwrap()
}

/// S36: nothing is cut off: passwords that differ at byte 73, 129 or 1,000 alone are different. Nor is case lost, nor
/// white space.
#[tokio::test]
async fn s36_every_byte_counts() {
    let hasher = hasher();
    let long = chance(1024);
    let hash = hasher.hash(long.clone().into()).await.unwrap();
    assert_eq!(verify(&hasher, &long, &hash).await, Verification::Right);
    for byte in [0, 71, 72, 128, 999, 1023] {
        let mut other = long.clone().into_bytes();
        other[byte] ^= 1;
        let other = String::from_utf8(other).unwrap();
        assert_eq!(verify(&hasher, &other, &hash).await, Verification::Wrong, "byte {}", byte + 1);
    }
    for other in [
        &long[..72],
        &long[..128],
        &long[..1023],
        &format!("{long} "),
        &format!(" {long}"),
        &long.to_uppercase(),
    ] {
        assert_eq!(verify(&hasher, other, &hash).await, Verification::Wrong);
    }
    let nul = hasher.hash("before\0after the nul".into()).await.unwrap();
    assert_eq!(verify(&hasher, "before", &nul).await, Verification::Wrong);
    assert_eq!(verify(&hasher, "before\0after the lun", &nul).await, Verification::Wrong);
}

/// S36: one password typed on two keyboards is one: compared in its NFKC form.
#[tokio::test]
async fn s36_one_password_in_two_encodings_is_one() {
    let hasher = hasher();
    for (one, other) in [
        ("Zwölf Schwäne trinken", "Zwo\u{308}lf Schwa\u{308}ne trinken"),
        ("ﬁne oﬃce chair lamp", "fine office chair lamp"),
        ("full width ＡＢＣ１２３", "full width ABC123"),
        ("no\u{a0}break space here", "no break space here"),
    ] {
        let hash = hasher.hash(one.into()).await.unwrap();
        assert_eq!(verify(&hasher, other, &hash).await, Verification::Right, "{one}");
        assert_eq!(
            verify(&hasher, &other.to_lowercase(), &hash).await == Verification::Right,
            other == other.to_lowercase()
        );
    }
}

/// S38: argon2id of at least the least parameters, as a PHC string with 16 bytes of salt; each hash has its own.
#[tokio::test]
async fn s38_what_is_stored() {
    let hasher = hasher();
    let hashes = [hasher.hash(PASSWORD.into()).await.unwrap(), hasher.hash(PASSWORD.into()).await.unwrap()];
    for hash in &hashes {
        let [empty, algorithm, version, parameters, salt, output] =
            hash.expose().split('$').collect::<Vec<_>>()[..]
        else {
            panic!("not a PHC string")
        };
        assert_eq!((empty, algorithm, version, parameters), ("", "argon2id", "v=19", "m=19456,t=2,p=1"));
        assert_eq!((salt.len(), output.len()), (22, 43), "16 and 32 bytes");
        assert!(!format!("{hash:?}").contains(salt), "not even Debug shows it");
    }
    assert_ne!(hashes[0], hashes[1]);
    for (memory_kib, passes) in [(19_455, 2), (19_456, 1), (8, 1), (0, 0)] {
        let config = HashingConfig { memory_kib, passes, ..HashingConfig::default() };
        let error = failure(PasswordHasher::new(&config, Environment::system()));
        assert_eq!(error.kind(), ErrorKind::Config, "{memory_kib}, {passes}");
    }
    for config in [
        HashingConfig { threads: 0, ..HashingConfig::default() },
        HashingConfig { queue: 0, ..HashingConfig::default() },
    ] {
        assert_eq!(failure(PasswordHasher::new(&config, Environment::system())).kind(), ErrorKind::Config);
    }
}

/// S38: a hash of another kind, version or cost is right but outdated.
#[tokio::test]
async fn s38_anything_but_the_present_way_is_outdated() {
    let hasher = hasher();
    let stored = |algorithm, version, memory, passes| {
        let params = Params::new(memory, passes, 1, None).unwrap();
        let made = Argon2::new(algorithm, version, params)
            .hash_password_with_salt(PASSWORD.as_bytes(), b"0123456789abcdef");
        made.unwrap().to_string().parse::<PasswordHash>().unwrap()
    };
    let outdated = [
        ("less memory", stored(Algorithm::Argon2id, Version::V0x13, 4096, 2)),
        ("more memory", stored(Algorithm::Argon2id, Version::V0x13, 24_576, 2)),
        ("more passes", stored(Algorithm::Argon2id, Version::V0x13, 19_456, 3)),
        ("argon2i", stored(Algorithm::Argon2i, Version::V0x13, 19_456, 2)),
        ("argon2d", stored(Algorithm::Argon2d, Version::V0x13, 19_456, 2)),
        ("version 16", stored(Algorithm::Argon2id, Version::V0x10, 19_456, 2)),
    ];
    for (how, hash) in &outdated {
        assert_eq!(verify(&hasher, PASSWORD, hash).await, Verification::RightButOutdated, "{how}");
        assert_eq!(verify(&hasher, "wrong", hash).await, Verification::Wrong, "{how}");
    }
    let present = stored(Algorithm::Argon2id, Version::V0x13, 19_456, 2);
    assert_eq!(verify(&hasher, PASSWORD, &present).await, Verification::Right);
    assert_eq!(hasher.verify("".into(), None).await.unwrap(), Verification::Wrong, "the decoy is nobody's");
}

/// S38: signing in under new parameters stores the password anew, once; a wrong password stores nothing.
#[tokio::test]
async fn s38_a_hash_is_renewed_at_sign_in() {
    let app = App::new();
    let realm = app.platform().await;
    let ada = app.register(&realm, ADA).await;
    let stored = async || {
        let control = multitenancy_core::ControlContext::system("test");
        let mut unit = app.store.read_control(&control).await.unwrap();
        unit.users().password_hash(ada.id).await.unwrap().unwrap()
    };
    let before = stored().await;
    let stronger = HashingConfig { passes: 3, ..HashingConfig::default() };
    let renewed = builder(app.store.clone()).hashing(stronger).build().unwrap();
    let wrong =
        renewed.accounts().log_in(&realm, credentials(ADA, "not the password"), Default::default()).await;
    assert_eq!(failure(wrong).code(), "invalid_credentials");
    assert_eq!(stored().await, before);
    renewed
        .accounts()
        .log_in(&realm, credentials(ADA, PASSWORD), Default::default())
        .await
        .unwrap()
        .complete()
        .unwrap();
    let after = stored().await;
    assert!(after.expose().starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{}", after.expose());
    renewed
        .accounts()
        .log_in(&realm, credentials(ADA, PASSWORD), Default::default())
        .await
        .unwrap()
        .complete()
        .unwrap();
    assert_eq!(stored().await, after, "once");
}
