use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, path::Operation, schema::Type,
        security::SecurityRequirement,
    },
};

use crate::problem::ProblemDocument;

/// Adds the refusals that follow from an operation's requirements. Its own are declared beside its handler.
pub(super) fn describe_refusals(operation: &mut Operation) {
    let nothing = SecurityRequirement::default();
    let signed_in = operation.security.iter().flatten().any(|requirement| *requirement != nothing);
    let permission = operation.extensions.as_ref().is_some_and(|all| all.contains_key("x-permission"));
    let body = operation.request_body.is_some();
    for (applies, status, codes) in [
        (true, "400", "`malformed_request`, `tenant_malformed`"),
        (body, "400", "`malformed_json`"),
        (signed_in, "401", "`unauthenticated`, `invalid_token`"),
        (true, "403", "`tenant_mismatch`"),
        (signed_in, "403", "`tenant_inactive`"),
        (permission, "403", "`permission_denied`"),
        (signed_in, "404", "`tenant_not_found`"),
        (body, "413", "`body_too_large`"),
        (true, "414", "`uri_too_long`"),
        (body, "415", "`unsupported_media_type`"),
        (body, "422", "`validation_failed`"),
        (true, "431", "`headers_too_large`"),
        (true, "503", "`overloaded`, `unavailable`, `storage_full`, `timeout`"),
    ] {
        if applies {
            add_codes(operation, status, codes);
        }
    }
}

fn add_codes(operation: &mut Operation, status: &str, codes: &str) {
    let declared = operation.responses.responses.entry(status.to_owned()).or_insert_with(empty);
    let RefOr::T(response) = declared else { return };
    for code in codes.split(", ").filter(|code| !response.description.contains(*code)).collect::<Vec<_>>() {
        if !response.description.is_empty() {
            response.description.push_str(", ");
        }
        response.description.push_str(code);
    }
}

/// Completes the declared answers: refusals are problems, and some answers have headers.
pub(super) fn complete(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    if let RefOr::T(other) = responses.entry("default".to_owned()).or_insert_with(empty) {
        other.description = "Any other error: see `code`.".to_owned();
    }
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        add_header(response, "X-Request-Id", Type::String, "Quote it when you report a problem.");
        let refusal = status == "default" || status.starts_with(['4', '5']);
        if !refusal || !response.content.is_empty() {
            continue;
        }
        let schema = Ref::from_schema_name(ProblemDocument::name());
        let problem = ContentBuilder::new().schema(Some(schema)).build();
        response.content.insert("application/problem+json".to_owned(), problem.into());
        match status.as_str() {
            "401" => add_header(
                response,
                "WWW-Authenticate",
                Type::String,
                "`Bearer`, with `error=\"invalid_token\"` when the token is not valid.",
            ),
            "503" => {
                add_header(response, "Retry-After", Type::Integer, "Seconds to wait before trying again.");
            }
            _ => {}
        }
    }
}

fn add_header(response: &mut Response, name: &str, kind: Type, description: &str) {
    let schema = ObjectBuilder::new().schema_type(kind);
    let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
    response.headers.insert(name.to_owned(), header.into());
}

fn empty() -> RefOr<Response> {
    Response::new("").into()
}
