//! Opaque one-time secrets: 256 random bits, of which only a digest is stored (S61, S70).

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::{environment::Environment, id::Plane};

/// What a [`SecretToken`] is good for. A token of one purpose is nothing to another (S56).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Continues a session: exchanged once for its successor and a new access token.
    Refresh,
}

impl Purpose {
    fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "rt",
        }
    }
}

/// A bearer secret, written `<purpose>.<plane>.<256 random bits>`.
///
/// It names its plane, so that whoever receives it knows where to look without asking every tenant, and the
/// digest covers the whole text, so that it is worth nothing anywhere else (S67).
#[derive(Clone)]
pub struct SecretToken {
    plane: Plane,
    text: SecretString,
}

impl SecretToken {
    const SECRET_BYTES: usize = 32;

    /// A new token.
    pub fn generate(purpose: Purpose, plane: Plane, environment: &Environment) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(environment.bytes::<{ Self::SECRET_BYTES }>());
        let text = format!("{}.{plane}.{secret}", purpose.prefix()).into();
        Self { plane, text }
    }

    /// Reads a token that a client sent; `None` when it can not be one of this `purpose`.
    pub fn parse(purpose: Purpose, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(purpose.prefix())?.strip_prefix('.')?;
        let (plane, secret) = rest.split_once('.')?;
        let plane = match plane {
            "control" => Plane::Control,
            id => Plane::Tenant(id.parse().ok()?),
        };
        // Decoding refuses other lengths, padding and stray bits: one secret has one spelling.
        let decoded = URL_SAFE_NO_PAD.decode(secret).ok()?;
        (decoded.len() == Self::SECRET_BYTES).then(|| Self { plane, text: text.into() })
    }

    /// Where the token belongs.
    pub fn plane(&self) -> Plane {
        self.plane
    }

    /// What to store and to look up instead of the token.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.text.expose_secret().as_bytes()).into())
    }

    /// The text for the one reply that hands the token out.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretToken").field("plane", &self.plane).finish_non_exhaustive()
    }
}

/// SHA-256 of a [`SecretToken`]. A plain hash is enough: 256 random bits can not be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The value to store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TenantId;

    /// S61, S70: a token is its own spelling only, carries 256 bits and names its plane.
    #[test]
    fn a_token_has_one_spelling() {
        let environment = Environment::system();
        let plane = Plane::Tenant(TenantId::generate(&environment));
        let token = SecretToken::generate(Purpose::Refresh, plane, &environment);
        let parsed = SecretToken::parse(Purpose::Refresh, token.expose()).unwrap();
        assert_eq!(parsed.plane(), plane);
        assert_eq!(parsed.digest(), token.digest());

        let text = token.expose();
        let elsewhere = text.replace(&plane.to_string(), "control");
        assert_ne!(SecretToken::parse(Purpose::Refresh, &elsewhere).unwrap().digest(), token.digest());
        for wrong in
            ["", "rt", "rt.control", "rt.control.", &text[1..], &text[..text.len() - 1], &format!("{text}=")]
        {
            assert!(SecretToken::parse(Purpose::Refresh, wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{token:?}").contains(&text[text.len() - 43..]));
    }
}
