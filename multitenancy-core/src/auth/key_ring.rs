use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zxcvbn::zxcvbn;

use crate::{
    environment::Timestamp,
    error::{Error, Result},
};

/// A key that signs access tokens, with the one algorithm it is good for (S52).
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl SigningKey {
    /// The shortest secret, in bytes: HMAC-SHA-256 wants as many as its output has (RFC 7518, 3.2).
    pub const MIN_SECRET_BYTES: usize = 32;

    /// A key for HS256.
    ///
    /// A secret that is shorter than [32 bytes](Self::MIN_SECRET_BYTES), that repeats a few characters, or that
    /// comes from documentation is an error that says so (S51).
    pub fn hs256(secret: &SecretString) -> Result<Self> {
        let text = secret.expose_secret();
        if text.len() < Self::MIN_SECRET_BYTES {
            return Err(Error::config(format!(
                "the signing secret has {} bytes; give at least {} random ones, for example from \
                 `openssl rand -base64 48`",
                text.len(),
                Self::MIN_SECRET_BYTES
            )));
        }
        if is_monotonous(text.as_bytes()) {
            return Err(Error::config(
                "the signing secret repeats itself; give random bytes, for example from `openssl rand -base64 48`",
            ));
        }
        if is_sample(text) {
            return Err(Error::config(
                "the signing secret is a sample value; give random bytes, for example from `openssl rand -base64 48`",
            ));
        }
        let mut hasher = Sha256::new();
        hasher.update(b"multitenancy key id\0");
        hasher.update(text.as_bytes());
        let kid = hasher.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            kid,
            algorithm: Algorithm::HS256,
            encoding: EncodingKey::from_secret(text.as_bytes()),
            decoding: DecodingKey::from_secret(text.as_bytes()),
        })
    }

    /// The name tokens carry; derived from the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Values that stand in documentation, tutorials and this project's own sample files, or look it: words, rows of the
/// keyboard and of the alphabet, repetitions.
fn is_sample(secret: &str) -> bool {
    const MARKS: [&str; 11] = [
        "change",
        "default",
        "development",
        "example",
        "password",
        "placeholder",
        "sample",
        "secret",
        "testing",
        "your-",
        "your_",
    ];
    /// 32 characters of chance need more than 10^32 guesses, which zxcvbn gives as 10^19, the most it can.
    const MIN_GUESSES_LOG10: f64 = 18.0;
    let lower = secret.to_lowercase();
    let judged: String = secret.chars().take(100).collect();
    MARKS.iter().any(|mark| lower.contains(mark)) || zxcvbn(&judged, &[]).guesses_log10() < MIN_GUESSES_LOG10
}

/// Whether `secret` has fewer than eight different bytes, or says the same again: a third of its runs of four bytes
/// stand in it more than once. 32 random hex digits have fourteen different ones, and hardly a run twice.
fn is_monotonous(secret: &[u8]) -> bool {
    let bytes: HashSet<u8> = secret.iter().copied().collect();
    let runs: HashSet<&[u8]> = secret.windows(4).collect();
    bytes.len() < 8 || 3 * runs.len() < 2 * secret.windows(4).len()
}

/// The keys of one issuer: one that signs, and retired ones whose tokens are still accepted until a stated
/// instant. A `kid` is looked up here, in memory, and nowhere else (S53, S54).
#[derive(Clone, Debug)]
pub struct KeyRing {
    current: SigningKey,
    retired: HashMap<String, (SigningKey, Timestamp)>,
}

impl KeyRing {
    /// A ring whose `current` key signs.
    pub fn new(current: SigningKey) -> Self {
        Self { current, retired: HashMap::new() }
    }

    /// Still accepts tokens signed with `key`, until `until`.
    #[must_use]
    pub fn with_retired(mut self, key: SigningKey, until: Timestamp) -> Self {
        self.retired.insert(key.kid.clone(), (key, until));
        self
    }

    /// The key that signs.
    pub fn current(&self) -> &SigningKey {
        &self.current
    }

    /// The key named `kid` and its algorithm, when tokens of it are accepted at `now`, with the instant at which
    /// that ends.
    pub(crate) fn find(&self, kid: &str, now: Timestamp) -> Option<VerifyingKey<'_>> {
        if kid == self.current.kid {
            return Some(VerifyingKey { key: &self.current, until: None });
        }
        let (key, until) = self.retired.get(kid)?;
        (now < *until).then_some(VerifyingKey { key, until: Some(*until) })
    }
}

pub(crate) struct VerifyingKey<'a> {
    key: &'a SigningKey,
    pub until: Option<Timestamp>,
}

impl VerifyingKey<'_> {
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm
    }

    pub fn decoding(&self) -> &DecodingKey {
        &self.key.decoding
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;

    /// S51: no short, sample or repeated secret makes a key.
    #[test]
    fn s51_weak_secrets_are_refused() {
        let key = |secret: &str| SigningKey::hs256(&secret.into());
        let samples = [
            "",
            "secret",
            "0123456789012345678901234567890",
            "change-me-change-me-change-me-change-me",
            "your-256-bit-secret-your-256-bit-secret",
            "my-super-secret-key-that-is-long-enough",
            "example-secret-0123456789-abcdefgh",
        ];
        for secret in samples {
            assert!(key(secret).is_err(), "{secret:?}");
        }
        assert!(key(&"a".repeat(64)).is_err());
        assert!(key(&"abc123".repeat(10)).is_err());
        assert!(key(&"0123456789".repeat(4)).is_err());
        assert!(key(&"kX2v9QeT7mZr4LbN".repeat(2)).is_err(), "half of it again");
        assert!(key(&format!("{}!", "kX2v9QeT7mZr4LbN".repeat(2))).is_err());
        assert!(key("kXvkkvXvkXXkvvkXkvXkvXXvkkvXkXvk").is_err(), "three characters");
        let good = key("kX2v9QeT7mZr4LbN8wYc1HsJ5dFg3PaU").unwrap();
        assert_eq!(good.kid().len(), 16);
        assert!(!format!("{good:?}").contains("kX2v"));
    }

    /// S51: what chance makes is never taken for monotonous, in hex and in base64.
    #[test]
    fn s51_random_secrets_are_accepted() {
        for number in 0_u32..2_000 {
            let digest = Sha256::digest(number.to_le_bytes());
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            for secret in [&hex[..32], &hex, &STANDARD.encode(digest)] {
                assert!(!is_monotonous(secret.as_bytes()), "{secret}");
            }
        }
    }
}
