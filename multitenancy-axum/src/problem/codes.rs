use axum::http::StatusCode;

/// A stable code, the status it comes with, and what it means.
pub(crate) struct Code {
    pub status: u16,
    pub code: &'static str,
    pub meaning: &'static str,
}

const fn code(status: u16, code: &'static str, meaning: &'static str) -> Code {
    Code { status, code, meaning }
}

/// Every code the framework answers with. The first of a status is also what that status means on its own.
pub(crate) const CODES: &[Code] = &[
    code(400, "malformed_request", "the request can not be read"),
    code(400, "malformed_id", "this is not an identifier"),
    code(400, "malformed_json", "the body is not JSON"),
    code(400, "tenant_required", "the request names no organization"),
    code(400, "request_refused", "another status of 4xx, without more to say"),
    code(400, "tenant_malformed", "what should name an organization does not"),
    code(401, "unauthenticated", "sign in first"),
    code(401, "invalid_credentials", "the address or the password is wrong"),
    code(401, "invalid_token", "the access token is not valid (any more)"),
    code(401, "invalid_refresh_token", "the refresh token is not valid (any more)"),
    code(403, "forbidden", "this is not allowed"),
    code(403, "account_inactive", "the account is not active"),
    code(403, "permission_denied", "the caller's role does not allow this"),
    code(403, "registration_closed", "the organization takes in nobody by themselves"),
    code(403, "tenant_inactive", "the organization is not active"),
    code(403, "tenant_mismatch", "the parts of the request name different organizations"),
    code(403, "wrong_scope", "the token is of the other realm"),
    code(404, "not_found", "there is no such thing"),
    code(404, "owner_not_found", "the owner of the organization is gone"),
    code(404, "tenant_not_found", "there is no such organization"),
    code(404, "user_not_found", "there is no such user"),
    code(405, "method_not_allowed", "this path has no such method; see Allow"),
    code(409, "conflict", "it collides with what is there"),
    code(409, "domain_taken", "the domain belongs to another organization"),
    code(409, "email_taken", "the address is taken"),
    code(409, "invalid_transition", "the organization can not become that now"),
    code(409, "slug_taken", "the slug is taken"),
    code(413, "body_too_large", "the body is too large"),
    code(414, "uri_too_long", "the address is longer than 8 KiB"),
    code(415, "unsupported_media_type", "send application/json"),
    code(422, "validation_failed", "some values were refused"),
    code(431, "headers_too_large", "the headers take more than 16 KiB"),
    code(500, "internal_error", "something went wrong on our side"),
    code(500, "commit_unknown", "it may have been done, or not: look before doing it again"),
    code(503, "unavailable", "try again later"),
    code(503, "overloaded", "too much at once: try again later"),
    code(503, "storage_full", "there is no room to keep it"),
    code(503, "tenant_storage_missing", "the organization has no storage"),
    code(503, "tenant_upgrading", "the organization is being brought to a new version"),
    code(503, "tenants_not_migrated", "some organizations could not be brought to a new version"),
    code(503, "storage_unavailable", "the storage does not answer"),
    code(503, "storage_closed", "the service is stopping"),
    code(503, "timeout", "it took too long"),
];

/// What a status means on its own.
pub(crate) fn of_status(status: StatusCode) -> &'static Code {
    let fallback = if status.is_server_error() { "internal_error" } else { "request_refused" };
    let known = CODES.iter().find(|code| code.status == status.as_u16());
    known.or_else(|| CODES.iter().find(|code| code.code == fallback)).unwrap_or(&CODES[0])
}

/// The table of codes, as Markdown.
pub(crate) fn table() -> String {
    let rows: String = CODES
        .iter()
        .map(|Code { status, code, meaning }| format!("| `{code}` | {status} | {meaning} |\n"))
        .collect();
    format!("| code | status | meaning |\n|---|---|---|\n{rows}")
}
