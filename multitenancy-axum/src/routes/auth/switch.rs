use axum::extract::State;
use multitenancy_core::{Caller, Error, ErrorKind, Result, Tenancy, tenant::TenantKey};
use serde::Deserialize;
use utoipa::ToSchema;

use super::TokensBody;
use crate::{
    extract::{Json, Peer, Travelling},
    openapi::TenantParam,
    problem::{Problem, ProblemDocument},
};

/// Where to go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Switch)]
pub(crate) struct Request {
    /// The id or the slug of an organization the caller belongs to.
    tenant: String,
}

/// Enter an organization
///
/// Exchanges nothing: the platform's token stays good. A header or a host that names an organization must name the
/// one in the body.
#[utoipa::path(
    post,
    path = "/auth/switch",
    operation_id = "switch",
    tag = "auth",
    params(TenantParam),
    request_body = Request,
    responses(
        (status = 200, description = "Tokens of a new session in the organization.", body = TokensBody),
        (status = 403, description = "`wrong_scope`, `tenant_mismatch`, `tenant_inactive`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "`tenant_not_found`: not there, or not theirs.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn handler(
    State(tenancy): State<Tenancy>,
    Travelling { caller, named }: Travelling,
    Peer(client): Peer,
    Json(request): Json<Request>,
) -> Result<Json<TokensBody>, Problem> {
    caller.control_context()?;
    let key: TenantKey = request.tenant.parse()?;
    if !named.is_empty() {
        require_agreement(&tenancy, &caller, &key, &named).await?;
    }
    let signed_in = tenancy.switch(&caller, &key, client).await?;
    Ok(Json(signed_in.into()))
}

/// Refuses to enter `key` where the request names something else. Asked of the caller's own organizations only, so
/// nobody learns in this way which others there are (S80).
async fn require_agreement(
    tenancy: &Tenancy,
    caller: &Caller,
    key: &TenantKey,
    named: &[TenantKey],
) -> Result<()> {
    let Some(target) = tenancy.find_tenant(key).await? else {
        return Ok(());
    };
    let target = tenancy.own_organization(caller, target.id).await?;
    if named.iter().all(|key| key.names(&target)) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Forbidden,
        "tenant_mismatch",
        "the parts of the request name different organizations",
    ))
}
