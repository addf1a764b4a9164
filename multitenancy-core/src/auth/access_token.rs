use std::{fmt, sync::Arc, time::Duration};

use chrono::DateTime;
use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{claims_cache::ClaimsCache, key_ring::KeyRing};
use crate::{
    environment::{Environment, Timestamp},
    error::{Error, Result, code},
    id::{Plane, SessionId, TenantId, UserId},
    user::Role,
};

/// Which realm a token is good for. A token of one is 403 `wrong_scope` on the other's routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "String")]
pub enum Scope {
    /// The control plane.
    Platform,
    /// One tenant.
    Tenant,
}

/// From a text and nothing else: derived, it would also be read from an object.
impl TryFrom<String> for Scope {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match text.as_str() {
            "platform" => Ok(Self::Platform),
            "tenant" => Ok(Self::Tenant),
            _ => Err(Error::of(code::MALFORMED_SCOPE)),
        }
    }
}

/// What an access token says. Every field is required and has one JSON type; `tid` is there when and only when
/// the scope is `tenant` (S55).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Which deployment it is for.
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// The realm.
    pub scope: Scope,
    /// The tenant.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub tid: Option<TenantId>,
    /// The session.
    pub sid: SessionId,
    /// The token itself.
    pub jti: Uuid,
    /// The user's roles when it was issued: for clients to read. The server asks the store.
    pub roles: Vec<Role>,
    /// Issued at, in seconds since 1970.
    pub iat: u32,
    /// Not before, in seconds since 1970.
    pub nbf: u32,
    /// Expires at, in seconds since 1970.
    pub exp: u32,
}

impl Claims {
    /// Where the token is good: the control plane, or one tenant.
    pub fn plane(&self) -> Plane {
        self.tid.map_or(Plane::Control, Plane::Tenant)
    }
}

/// A claim that is there is not null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(claim: D) -> Result<Option<T>, D::Error> {
    T::deserialize(claim).map(Some)
}

/// How access tokens are made.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// `iss`. Default `multitenancy`.
    pub issuer: String,
    /// `aud`: names this deployment, so that another one's tokens are refused (S57). Default `multitenancy`.
    pub audience: String,
    /// How long a token is good. Default and most: 900 s.
    pub ttl: Duration,
    /// How many verified tokens are remembered. Default 10,000; 0 verifies each time.
    pub cache_capacity: usize,
}

impl TokenConfig {
    /// The longest life of an access token.
    pub const MAX_TTL: Duration = Duration::from_secs(900);
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            issuer: "multitenancy".to_owned(),
            audience: "multitenancy".to_owned(),
            ttl: Self::MAX_TTL,
            cache_capacity: 10_000,
        }
    }
}

/// Issues and verifies access tokens: JWTs of the type `at+jwt` (RFC 9068), which no other token has (S56).
pub struct AccessTokens {
    config: TokenConfig,
    keys: KeyRing,
    environment: Environment,
    cache: ClaimsCache,
}

impl AccessTokens {
    /// The `typ` of the header.
    pub const TYPE: &'static str = "at+jwt";
    /// The longest token that is looked at, in bytes.
    pub const MAX_LEN: usize = 4096;
    /// How far another replica's clock may be ahead, in seconds. An expired token gets no leeway.
    const LEEWAY: i64 = 30;

    /// Tokens of this `config`, signed with the ring's current key.
    pub fn new(config: TokenConfig, keys: KeyRing, environment: Environment) -> Result<Self> {
        if config.ttl.as_secs() == 0 || config.ttl > TokenConfig::MAX_TTL {
            return Err(Error::config(format!(
                "access tokens must live 1 to {} seconds, not {}",
                TokenConfig::MAX_TTL.as_secs(),
                config.ttl.as_secs()
            )));
        }
        let cache = ClaimsCache::new(config.cache_capacity);
        Ok(Self { config, keys, environment, cache })
    }

    /// How long a token is good.
    pub fn ttl(&self) -> Duration {
        self.config.ttl
    }

    /// A new token for a user's session on `plane`.
    pub fn issue(&self, plane: Plane, user: UserId, session: SessionId, roles: &[Role]) -> Result<String> {
        let now = u32::try_from(self.environment.now().timestamp()).map_err(Error::internal)?;
        let ttl = u32::try_from(self.config.ttl.as_secs()).map_err(Error::internal)?;
        let claims = Claims {
            iss: self.config.issuer.clone(),
            aud: self.config.audience.clone(),
            sub: user,
            scope: if plane == Plane::Control { Scope::Platform } else { Scope::Tenant },
            tid: plane.tenant(),
            sid: session,
            jti: self.environment.uuid(),
            roles: roles.to_vec(),
            iat: now,
            nbf: now,
            exp: now + ttl,
        };
        let key = self.keys.current();
        let header = Header {
            typ: Some(Self::TYPE.to_owned()),
            kid: Some(key.kid().to_owned()),
            ..Header::new(key.algorithm())
        };
        jsonwebtoken::encode(&header, &claims, key.encoding()).map_err(Error::internal)
    }

    /// What a token says, if it is one of ours and good now. Every fault is the same 401 `invalid_token`.
    pub fn verify(&self, token: &str) -> Result<Arc<Claims>> {
        self.verify_at(token, self.environment.now())
    }

    pub(crate) fn verify_at(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>> {
        if token.len() > Self::MAX_LEN {
            return Err(invalid_token("longer than any of ours"));
        }
        if let Some(claims) = self.cache.find(token, now) {
            return Ok(claims);
        }
        let (claims, until) = self.verify_afresh(token, now).map_err(invalid_token)?;
        let claims = Arc::new(claims);
        self.cache.insert(token, claims.clone(), until);
        Ok(claims)
    }

    fn verify_afresh(&self, token: &str, now: Timestamp) -> Result<(Claims, Timestamp), Fault> {
        let header = jsonwebtoken::decode_header(token)?;
        // The header chooses among our keys and nothing else: each key brings its algorithm, and members that
        // point to other keys, or that we do not write, refuse the token.
        let plain =
            Header { typ: Some(Self::TYPE.to_owned()), kid: header.kid.clone(), ..Header::new(header.alg) };
        if header != plain {
            return Err("the header holds what ours do not".into());
        }
        let kid = header.kid.as_deref().ok_or("no kid")?;
        let key = self.keys.find(kid, now).ok_or("unknown kid")?;
        let mut validation = Validation::new(key.algorithm());
        // Checked below, on the injected clock and without its optional parts.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims: Claims = jsonwebtoken::decode(token, key.decoding(), &validation)?.claims;

        if claims.iss != self.config.issuer || claims.aud != self.config.audience {
            return Err("another issuer or audience".into());
        }
        if (claims.scope == Scope::Tenant) != claims.tid.is_some() {
            return Err("scope and tid do not fit".into());
        }
        let started = now.timestamp() + Self::LEEWAY;
        if i64::from(claims.nbf) > started || i64::from(claims.iat) > started {
            return Err("not good yet".into());
        }
        let expires = DateTime::from_timestamp(i64::from(claims.exp), 0).ok_or("no such instant")?;
        if now >= expires || claims.exp <= claims.iat {
            return Err("expired".into());
        }
        let until = key.until.map_or(expires, |until| until.min(expires));
        Ok((claims, until))
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens").field("config", &self.config).finish_non_exhaustive()
    }
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn invalid_token(fault: impl Into<Fault>) -> Error {
    Error::of(code::INVALID_TOKEN).with_source(fault)
}
