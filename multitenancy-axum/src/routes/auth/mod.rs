//! Registering, logging in and out, refreshing tokens, switching to an organization.

pub(super) mod login;
pub(super) mod logout;
pub(super) mod refresh;
pub(super) mod register;
pub(super) mod switch;

use multitenancy_core::{TenantId, account::SignedIn, auth::Scope};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use utoipa::{ToSchema, openapi::Object};

use super::users::UserBody;
use crate::schema::one_of;

/// Tokens, and the user they belong to.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(super) struct TokensBody {
    /// Send it with every request, as `Authorization: Bearer`.
    #[serde(serialize_with = "expose")]
    #[schema(value_type = String)]
    access_token: SecretString,
    /// Exchange it for new tokens, once: POST /auth/refresh.
    #[serde(serialize_with = "expose")]
    #[schema(value_type = String)]
    refresh_token: SecretString,
    #[schema(schema_with = token_type)]
    token_type: &'static str,
    /// Lifetime of the access token, in seconds.
    expires_in: u64,
    #[schema(schema_with = scope)]
    scope: Scope,
    /// The organization that the tokens are valid in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    tenant_id: Option<TenantId>,
    user: UserBody,
}

fn token_type() -> Object {
    one_of("The scheme for `Authorization`.", &["Bearer"])
}

fn scope() -> Object {
    one_of("The realm that the tokens are valid in.", &["platform", "tenant"])
}

impl From<SignedIn> for TokensBody {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            refresh_token: signed_in.refresh_token.expose().into(),
            token_type: "Bearer",
            expires_in: signed_in.expires_in.as_secs(),
            scope: signed_in.scope,
            tenant_id: signed_in.tenant_id,
            user: signed_in.user.into(),
        }
    }
}

/// The one reply that hands a token out.
fn expose<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}
