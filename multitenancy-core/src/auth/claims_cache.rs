use std::sync::Arc;

use quick_cache::sync::Cache;

use super::access_token::Claims;
use crate::environment::Timestamp;

/// Access tokens whose signature has been checked, by the whole token: two tokens never share an entry (S60). An entry
/// never outlives its token's `exp` or its key.
///
/// The tokens themselves are the keys. Whoever reads this process's memory reads the signing key, too.
pub(super) struct ClaimsCache(Option<Cache<Box<str>, Entry>>);

#[derive(Clone)]
struct Entry {
    claims: Arc<Claims>,
    until: Timestamp,
}

impl ClaimsCache {
    /// A cache of this many tokens; 0 remembers none.
    pub fn new(capacity: usize) -> Self {
        Self((capacity > 0).then(|| Cache::new(capacity)))
    }

    pub fn find(&self, token: &str, now: Timestamp) -> Option<Arc<Claims>> {
        let cache = self.0.as_ref()?;
        let entry = cache.get(token)?;
        if now < entry.until {
            return Some(entry.claims);
        }
        cache.remove(token);
        None
    }

    pub fn insert(&self, token: &str, claims: Arc<Claims>, until: Timestamp) {
        if let Some(cache) = &self.0 {
            cache.insert(token.into(), Entry { claims, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        auth::Scope,
        id::{SessionId, UserId},
    };

    /// Texts out of few pieces, so that many are each other's beginnings, ends and rearrangements.
    fn token() -> impl Strategy<Value = String> {
        const PIECES: &[&str] =
            &["eyJ", "a", "b", ".", "..", "_", ":", "/", "\0", " ", "é", "e\u{301}", "日本", "\u{202e}", "="];
        prop::collection::vec(prop::sample::select(PIECES), 0..8).prop_map(|pieces| pieces.concat())
    }

    fn claims(index: usize) -> Arc<Claims> {
        Arc::new(Claims {
            iss: String::new(),
            aud: String::new(),
            sub: UserId::from_uuid(Uuid::nil()),
            scope: Scope::Platform,
            tid: None,
            sid: SessionId::from_uuid(Uuid::nil()),
            jti: Uuid::from_u128(index as u128),
            roles: Vec::new(),
            iat: 0,
            nbf: 0,
            exp: 0,
        })
    }

    proptest! {
        /// S60, S105: each token has an entry of its own, and a token that was not put in has none.
        #[test]
        fn s105_distinct_tokens_are_distinct_entries(
            tokens in prop::collection::vec(token(), 90..100),
            others in prop::collection::vec(token(), 90..100),
        ) {
            let cache = ClaimsCache::new(10_000);
            let mut expected = HashMap::new();
            for (index, token) in tokens.iter().enumerate() {
                let claims = claims(index);
                cache.insert(token, claims.clone(), Timestamp::MAX_UTC);
                expected.insert(token, claims);
            }
            for token in tokens.iter().chain(&others) {
                let found = cache.find(token, Timestamp::MIN_UTC);
                prop_assert_eq!(found.as_ref(), expected.get(token), "{:?}", token);
            }
        }
    }
}
