use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::access_token::Claims;
use crate::environment::Timestamp;

/// Access tokens whose signature has been checked, by the SHA-256 of the whole token: two tokens share an entry
/// only if SHA-256 collides (S60). An entry never outlives its token's `exp` or its key.
pub(super) struct ClaimsCache(Cache<[u8; 32], Entry>);

#[derive(Clone)]
struct Entry {
    claims: Arc<Claims>,
    until: Timestamp,
}

impl ClaimsCache {
    pub fn new(capacity: u64) -> Self {
        Self(Cache::new(capacity))
    }

    pub fn key(token: &str) -> [u8; 32] {
        Sha256::digest(token.as_bytes()).into()
    }

    pub fn find(&self, key: &[u8; 32], now: Timestamp) -> Option<Arc<Claims>> {
        let entry = self.0.get(key)?;
        if now < entry.until {
            return Some(entry.claims);
        }
        self.0.invalidate(key);
        None
    }

    pub fn insert(&self, key: [u8; 32], claims: Arc<Claims>, until: Timestamp) {
        self.0.insert(key, Entry { claims, until });
    }
}
