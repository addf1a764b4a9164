//! The facts of a request, read from its head alone. `X-Forwarded-*` and `Forwarded` are ignored (S4).

use axum::{
    extract::{FromRef, FromRequestParts, Query},
    http::{
        HeaderMap, Uri,
        header::{AUTHORIZATION, HOST},
        request::Parts,
    },
};
use multitenancy_core::{
    Error, Result, Tenancy,
    access::RequestFacts,
    error::code,
    tenant::{Resolution, TenantKey},
};

use crate::{
    problem::Problem,
    request_scope::{Repeated, at_most_one, request_id},
};

/// Extracts the unverified facts of a request: the tenants that it names, and its identifier.
///
/// 400 `tenant_malformed` for a tenant header or query parameter that is not an id or a slug or that occurs twice; 400
/// `malformed_request` for two hosts.
#[derive(Debug, Clone)]
pub struct Facts(pub RequestFacts);

impl<S> FromRequestParts<S> for Facts
where
    Tenancy: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(read(parts, Tenancy::from_ref(state).resolution())?))
    }
}

pub(crate) fn read(parts: &Parts, resolution: &Resolution) -> Result<RequestFacts> {
    let mut tenant_keys = Vec::new();
    for name in &resolution.headers {
        if let Some(value) =
            at_most_one(parts.headers.get_all(name).iter()).map_err(|Repeated| tenant_twice(name))?
        {
            // Text that is not ASCII names no tenant, and neither does an empty text.
            tenant_keys.push(value.to_str().unwrap_or_default().parse::<TenantKey>()?);
        }
    }
    if let Some(host) = host(parts)? {
        tenant_keys.extend(resolution.host_key(host)?);
    }
    Ok(RequestFacts {
        tenant_keys,
        asserted_keys: queried(&parts.uri, resolution)?,
        request_id: request_id(parts),
    })
}

/// The tenants that query parameters name.
fn queried(uri: &Uri, resolution: &Resolution) -> Result<Vec<TenantKey>> {
    if uri.query().is_none() || resolution.query_parameters.is_empty() {
        return Ok(Vec::new());
    }
    let malformed = |_| Error::of(code::MALFORMED_REQUEST).with_message("the query cannot be read");
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(malformed)?;
    let mut keys = Vec::new();
    for name in &resolution.query_parameters {
        let mut values = pairs.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let (value, another) = (values.next(), values.next());
        if another.is_some() {
            return Err(tenant_twice(name));
        }
        if let Some((_, value)) = value {
            keys.push(value.parse()?);
        }
    }
    Ok(keys)
}

/// The token of the `Authorization` header; `None` without the header. Any value but one bearer token is 401
/// `invalid_token`, never ignored.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>> {
    let invalid = || {
        Error::of(code::INVALID_TOKEN).with_message("send one header: Authorization: Bearer <access token>")
    };
    let Some(value) = at_most_one(headers.get_all(AUTHORIZATION).iter()).map_err(|Repeated| invalid())?
    else {
        return Ok(None);
    };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(invalid)?;
    // Verification finds the rest.
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(invalid());
    }
    Ok(Some(token))
}

/// The host of a request: HTTP/2 and absolute targets have it in the target, others in `Host`. If both have it, they must
/// agree.
fn host(parts: &Parts) -> Result<Option<&str>> {
    let malformed = || Error::of(code::MALFORMED_REQUEST).with_message("a request is sent to one host");
    let header = match at_most_one(parts.headers.get_all(HOST).iter()).map_err(|Repeated| malformed())? {
        Some(value) => Some(value.to_str().map_err(|_| malformed())?),
        None => None,
    };
    match (parts.uri.authority(), header) {
        (None, header) => Ok(header),
        (Some(target), None) => Ok(Some(target.as_str())),
        (Some(target), Some(header)) if target.as_str().eq_ignore_ascii_case(header) => Ok(Some(header)),
        (Some(_), Some(_)) => Err(malformed()),
    }
}

fn tenant_twice(name: &str) -> Error {
    let message = format!("{name} must not occur twice");
    Error::of(code::TENANT_MALFORMED).with_message(message)
}
