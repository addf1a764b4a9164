//! Signing in: passwords, access tokens and sessions.

mod access_token;
mod claims_cache;
mod events;
mod key_ring;
mod password;
mod session;

pub use self::{
    access_token::{AccessTokens, Claims, Scope, TokenConfig},
    events::{SessionCreated, SessionRevoked},
    key_ring::{KeyRing, SigningKey},
    password::{HashingConfig, PasswordHash, PasswordHasher, PasswordPolicy, Verification},
    session::{Client, Session, SessionRepository},
};
