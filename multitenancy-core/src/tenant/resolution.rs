use std::{fmt, net::IpAddr, str::FromStr};

use serde::Serialize;

use super::{Slug, Tenant};
use crate::{
    error::{Error, Result, code},
    id::TenantId,
};

/// One way to name a tenant from outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TenantKey {
    /// By id.
    Id(TenantId),
    /// By slug.
    Slug(Slug),
    /// By its own domain.
    Domain(Domain),
}

impl TenantKey {
    /// Whether this names `tenant`. Decided from the tenant at hand, so a request for one tenant never learns
    /// whether another exists.
    pub fn names(&self, tenant: &Tenant) -> bool {
        match self {
            Self::Id(id) => *id == tenant.id,
            Self::Slug(slug) => *slug == tenant.slug,
            Self::Domain(domain) => Some(domain) == tenant.domain.as_ref(),
        }
    }
}

/// Reads an id or a slug, as `X-Tenant-Id` carries it. Anything else is 400 `tenant_malformed`.
impl FromStr for TenantKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // A slug may be as long as an id, but not the other way round.
        if text.len() == TenantId::TEXT_LEN
            && let Ok(id) = text.parse()
        {
            return Ok(Self::Id(id));
        }
        text.parse().map(Self::Slug).map_err(|_| malformed())
    }
}

impl From<TenantId> for TenantKey {
    fn from(id: TenantId) -> Self {
        Self::Id(id)
    }
}

/// A host name in its one form: ASCII lower case (UTS #46), at least two labels, no port, no trailing dot, no
/// address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Domain(String);

impl Domain {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::invalid_field("domain", "domain_invalid", "must be a host name");
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| refuse())?;
        let labels_fit = ascii.split('.').all(|label| (1..=63).contains(&label.len()));
        let numeric_end =
            ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if !ascii.contains('.') || ascii.len() > 253 || !labels_fit || numeric_end {
            return Err(refuse());
        }
        Ok(Self(ascii))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the parts of a request name a tenant. Each part is optional; all that are present must agree. There is no
/// default tenant (S3).
#[derive(Debug, Clone)]
pub struct Resolution {
    /// The domain under which tenants have a host each, as `acme.example.com` under `example.com`. `None`: the
    /// host says nothing.
    ///
    /// The base domain itself and the hosts of [reserved](Slug::require_unreserved) slugs, such as `www.example.com`
    /// and `api.example.com`, are the platform's own: they name no tenant.
    pub base_domain: Option<Domain>,
    /// The headers that carry a tenant's id or slug, in lower case; not one that means something else already, such
    /// as `authorization`. Default: `x-tenant-id` and its aliases `x-tenant` and `x-tenant-slug`.
    pub headers: Vec<String>,
    /// The query parameters that carry a tenant's id or slug. They choose no tenant, but what they name must agree with
    /// what does (S1). Compared without case. Default: `tenant`, `tenant_id` and `tenant_slug`. Those that are not
    /// listed are the application's own, such as a filter.
    pub query_parameters: Vec<String>,
}

impl Default for Resolution {
    fn default() -> Self {
        let headers = ["x-tenant-id", "x-tenant", "x-tenant-slug"];
        let query_parameters = ["tenant", "tenant_id", "tenant_slug"];
        Self {
            base_domain: None,
            headers: headers.map(str::to_owned).into(),
            query_parameters: query_parameters.map(str::to_owned).into(),
        }
    }
}

impl Resolution {
    /// Refuses header names that no request can carry, which would never name a tenant, in silence; and those that
    /// mean something else.
    pub(crate) fn check(&self) -> Result<()> {
        let fits = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        };
        for name in &self.headers {
            if !fits(name) {
                return Err(Error::config(format!(
                    "{name:?} is no name for a tenant header: use a-z, 0-9, - and _"
                )));
            }
            if has_a_meaning(name) {
                return Err(Error::config(format!(
                    "{name:?} is no name for a tenant header: it means something else; take one such as x-tenant-id"
                )));
            }
        }
        Ok(())
    }

    /// The tenant named by the host a request was sent to; `None` when the host is the platform's own (the base domain,
    /// or a reserved slug under it) or an address, or when no base domain is configured.
    ///
    /// Exactly one other label before the base domain is a slug; any other host is a tenant's own domain, matched
    /// exactly. What is neither is 400 `tenant_malformed`, never ignored (E1).
    pub fn host_key(&self, host: &str) -> Result<Option<TenantKey>> {
        let Some(base) = &self.base_domain else {
            return Ok(None);
        };
        let name = without_port(host).ok_or_else(malformed)?;
        if name.parse::<IpAddr>().is_ok() || name.starts_with('[') || name.eq_ignore_ascii_case("localhost") {
            return Ok(None);
        }
        let domain: Domain = name.parse().map_err(|_| malformed())?;
        if domain == *base {
            return Ok(None);
        }
        let Some(rest) = domain.as_str().strip_suffix(base.as_str()) else {
            return Ok(Some(TenantKey::Domain(domain)));
        };
        match rest.strip_suffix('.') {
            Some(label) => {
                let slug: Slug = label.parse().map_err(|_| malformed())?;
                Ok(slug.require_unreserved().is_ok().then_some(TenantKey::Slug(slug)))
            }
            // Such as `evil-example.com`: it only ends alike, so it is somebody's own domain or nobody's.
            None => Ok(Some(TenantKey::Domain(domain))),
        }
    }
}

/// Whether requests carry a header of this name for another purpose: HTTP itself, the browser or a proxy sets it.
fn has_a_meaning(name: &str) -> bool {
    const FAMILIES: [&str; 9] =
        ["accept", "access-control-", "cf-", "content-", "if-", "proxy-", "sec-", "x-forwarded", "x-real-"];
    const NAMES: [&str; 31] = [
        "alt-used",
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "date",
        "dnt",
        "early-data",
        "expect",
        "forwarded",
        "from",
        "host",
        "idempotency-key",
        "keep-alive",
        "max-forwards",
        "origin",
        "pragma",
        "priority",
        "range",
        "referer",
        "set-cookie",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "upgrade-insecure-requests",
        "user-agent",
        "via",
        "x-request-id",
    ];
    FAMILIES.iter().any(|family| name.starts_with(family)) || NAMES.contains(&name)
}

/// Strips a decimal port. `None` for user information and malformed ports.
fn without_port(host: &str) -> Option<&str> {
    if host.contains('@') {
        return None;
    }
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port_fits =
            port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        return (port_fits && address.parse::<IpAddr>().is_ok()).then_some(host);
    }
    match host.split_once(':') {
        None => Some(host),
        Some((name, port)) => port.parse::<u16>().is_ok().then_some(name),
    }
}

pub(crate) fn malformed() -> Error {
    Error::of(code::TENANT_MALFORMED)
}

pub(crate) fn required() -> Error {
    Error::of(code::TENANT_REQUIRED)
}

/// The error for a tenant that is not there, or not theirs who ask: 404 `tenant_not_found`.
pub fn not_found() -> Error {
    Error::of(code::TENANT_NOT_FOUND)
}

pub(crate) fn mismatch() -> Error {
    Error::of(code::TENANT_MISMATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E1, S3: sixty hosts, and what each of them names.
    #[test]
    fn e1_suffix_tricks_do_not_resolve() {
        let resolution =
            Resolution { base_domain: Some("example.com".parse().unwrap()), ..Resolution::default() };
        let names = |host: &str| match resolution.host_key(host) {
            Ok(None) => "-".to_owned(),
            Ok(Some(TenantKey::Slug(slug))) => format!("slug {slug}"),
            Ok(Some(TenantKey::Domain(domain))) => format!("domain {domain}"),
            Ok(Some(TenantKey::Id(_))) => "id".to_owned(),
            Err(error) => error.code().to_owned(),
        };
        let malformed = "tenant_malformed";
        let long = format!("{}.example.com", "a".repeat(64));
        let table = [
            ("example.com", "-"),
            ("EXAMPLE.COM", "-"),
            ("example.com:443", "-"),
            ("localhost", "-"),
            ("localhost:8080", "-"),
            ("LOCALHOST", "-"),
            ("127.0.0.1", "-"),
            ("127.0.0.1:8080", "-"),
            ("[::1]", "-"),
            ("[::1]:8080", "-"),
            ("[2001:db8::1]", "-"),
            ("acme.example.com", "slug acme"),
            ("ACME.Example.Com", "slug acme"),
            ("acme.example.com:8080", "slug acme"),
            ("acme-corp.example.com", "slug acme-corp"),
            ("123.example.com", "slug 123"),
            ("evil-example.com", "domain evil-example.com"),
            ("evilexample.com", "domain evilexample.com"),
            ("example.com.evil.com", "domain example.com.evil.com"),
            ("acme.example.com.evil.com", "domain acme.example.com.evil.com"),
            ("acme.example.org", "domain acme.example.org"),
            ("crm.acme.io", "domain crm.acme.io"),
            ("crm.acme.io:443", "domain crm.acme.io"),
            ("bücher.example", "domain xn--bcher-kva.example"),
            ("a.b.example.com", malformed),
            ("www.acme.example.com", malformed),
            ("www.example.com", "-"),
            ("api.example.com:8080", "-"),
            ("APP.example.com", "-"),
            ("admin.example.com", "-"),
            ("www.evil-example.com", "domain www.evil-example.com"),
            ("api-acme.example.com", "slug api-acme"),
            ("ab.example.com", malformed),
            ("-ab.example.com", malformed),
            ("ab-.example.com", malformed),
            ("xn--abc.example.com", malformed),
            ("xn--80ak6aa92e.example.com", malformed),
            ("аcme.example.com", malformed),
            ("acme_1.example.com", malformed),
            (long.as_str(), malformed),
            ("acme.example.com.", malformed),
            ("example.com.", malformed),
            (".example.com", malformed),
            ("..example.com", malformed),
            ("acme..example.com", malformed),
            ("acme.example.com:", malformed),
            ("acme.example.com:99999", malformed),
            ("acme.example.com:80:80", malformed),
            ("acme.example.com:-1", malformed),
            ("acme@example.com", malformed),
            ("user:pass@acme.example.com", malformed),
            ("acme.example.com@evil.com", malformed),
            ("acme.example.com/evil", malformed),
            ("acme.example.com?x", malformed),
            ("acme.example.com#x", malformed),
            ("acme.example.com evil.com", malformed),
            ("acme.example.com,evil.com", malformed),
            ("acme.example.com\\evil", malformed),
            ("acme%2eexample.com", malformed),
            ("acme\0.example.com", malformed),
            ("", malformed),
            (" ", malformed),
            ("com", malformed),
            ("[::1", malformed),
            ("[::1]x", malformed),
            ("[zz]", malformed),
            ("999.999.999.999", malformed),
            ("0x7f.1", malformed),
        ];
        assert!(table.len() >= 60);
        for (host, expected) in table {
            assert_eq!(names(host), expected, "{host:?}");
        }
    }

    #[test]
    fn without_a_base_domain_the_host_says_nothing() {
        assert_eq!(Resolution::default().host_key("acme.example.com").unwrap(), None);
    }

    #[test]
    fn a_header_that_no_request_can_carry_is_refused() {
        let check = |name: &str| {
            let headers = vec![name.to_owned()];
            Resolution { headers, ..Resolution::default() }.check()
        };
        assert!(Resolution::default().check().is_ok() && check("x-org").is_ok());
        for wrong in ["", "X-Org", "x org", "x:org", "x-orgä"] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        for other in ["authorization", "cookie", "host", "content-type", "x-forwarded-host", "sec-fetch-site"]
        {
            assert!(check(other).unwrap_err().to_string().contains("means something else"), "{other}");
        }
    }

    /// S1: the header carries an id or a slug, and nothing else.
    #[test]
    fn a_key_is_an_id_or_a_slug() {
        assert!(matches!("acme".parse(), Ok(TenantKey::Slug(_))));
        assert!(matches!("0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11".parse(), Ok(TenantKey::Id(_))));
        for wrong in ["", "*", "acme,other", "ACME", "acme.example.com", "' OR 1=1", "../x"] {
            let refused: Result<TenantKey> = wrong.parse();
            assert_eq!(refused.unwrap_err().code(), "tenant_malformed", "{wrong:?}");
        }
    }
}
