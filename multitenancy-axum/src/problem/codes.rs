//! Codes and statuses. The codes of errors are the core's table; what only HTTP can refuse is here.

use axum::http::StatusCode;
use multitenancy_core::{
    ErrorKind,
    error::code::{self, Code},
};

/// Refusals of HTTP itself: a status, its code and its meaning.
const PROTOCOL: &[(u16, &str, &str)] = &[
    (400, "request_refused", "another status of 4xx, without more to say"),
    (405, "method_not_allowed", "this path has no such method: see Allow"),
    (413, "body_too_large", "the body is too large"),
    (414, "uri_too_long", "the path and query are longer than 8 KiB"),
    (415, "unsupported_media_type", "send application/json"),
    (431, "headers_too_large", "the headers are larger than 16 KiB"),
    (503, "timeout", "the request took too long"),
];

/// The status with which an error of this class is answered.
pub(super) fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Malformed => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Overloaded | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // `Unknown`, `Config`, `Internal`, and what a later version may add.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The code and the meaning of a bare status.
pub(super) fn of_status(status: StatusCode) -> (&'static str, &'static str) {
    let class = match status {
        StatusCode::BAD_REQUEST => code::MALFORMED_REQUEST,
        StatusCode::UNAUTHORIZED => code::UNAUTHENTICATED,
        StatusCode::FORBIDDEN => code::FORBIDDEN,
        StatusCode::NOT_FOUND => code::NOT_FOUND,
        StatusCode::CONFLICT => code::CONFLICT,
        StatusCode::UNPROCESSABLE_ENTITY => code::VALIDATION_FAILED,
        StatusCode::SERVICE_UNAVAILABLE => code::UNAVAILABLE,
        status if status.is_server_error() => code::INTERNAL_ERROR,
        status => {
            let own = PROTOCOL.iter().find(|(number, ..)| *number == status.as_u16());
            let (_, code, meaning) = own.unwrap_or(&PROTOCOL[0]);
            return (code, meaning);
        }
    };
    (class.name, class.meaning)
}

/// The table of codes, as Markdown, by status. A deployment that is misconfigured does not start, so that is left out.
pub(super) fn table() -> String {
    let answered = code::ALL.iter().filter(|code| code.kind != ErrorKind::Config);
    let answered =
        answered.map(|&Code { name, kind, meaning, .. }| (status_of(kind).as_u16(), name, meaning));
    let mut rows: Vec<_> = answered.chain(PROTOCOL.iter().copied()).collect();
    rows.sort_by_key(|(status, ..)| *status);
    let rows = rows.iter().map(|(status, code, meaning)| format!("| `{code}` | {status} | {meaning} |\n"));
    format!("| code | status | meaning |\n|---|---|---|\n{}", rows.collect::<String>())
}
