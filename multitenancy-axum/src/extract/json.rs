use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use multitenancy_core::error::FieldError;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use crate::problem::Problem;

/// A body of JSON: read from a request, or answered with.
///
/// What can not be read is a [`Problem`]: 415 `unsupported_media_type`, 413 `body_too_large`, 400 `malformed_json`,
/// and 422 `validation_failed` naming the field that is unknown, missing, doubled or of the wrong type. Put
/// `#[serde(deny_unknown_fields)]` on what you read: then nobody sets a field that is not theirs to set (S110).
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let status = rejection.status();
            Problem::of_status(match status {
                StatusCode::PAYLOAD_TOO_LARGE => status,
                _ => StatusCode::BAD_REQUEST,
            })
        })?;
        parse(&body).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/json");
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, MEDIA_TYPE)], body).into_response(),
            Err(error) => Problem::from(error).into_response(),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|text| text.split(';').next()).unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| refused(&error.path().to_string(), error.inner()))?;
    deserializer.end().map_err(|error| refused(".", &error))?;
    Ok(value)
}

fn refused(path: &str, error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        let detail = format!("the body is not JSON: line {}, column {}", error.line(), error.column());
        return Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail);
    }
    Problem::invalid(vec![field_error(path, &error.to_string())])
}

/// What serde says of a value, without the value: it may be a secret.
fn field_error(path: &str, text: &str) -> FieldError {
    let named = |prefix: &str| Some(text.strip_prefix(prefix)?.split_once('`')?.0);
    let (name, code, message) = if let Some(name) = named("missing field `") {
        (Some(name), "required", "is required".to_owned())
    } else if let Some(name) = named("unknown field `") {
        (Some(name), "unknown_field", "is not a field of this request".to_owned())
    } else if let Some(name) = named("duplicate field `") {
        (Some(name), "duplicate_field", "must not occur twice".to_owned())
    } else {
        let expected = text.split_once(", expected ").map(|(_, expected)| expected);
        let message = match expected.and_then(|text| Some(text.rsplit_once(" at line ")?.0)) {
            Some(rust) if rust.starts_with("struct ") => "must be an object".to_owned(),
            Some(expected) => format!("must be {expected}"),
            None => "is not valid".to_owned(),
        };
        (None, "type_invalid", message)
    };
    FieldError { field: join(path, name), code, message }
}

/// The field's place in the body, such as `address.street`; `body` is the body itself.
fn join(path: &str, name: Option<&str>) -> String {
    let parent = if path == "." { "" } else { path };
    match name {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None if parent.is_empty() => "body".to_owned(),
        None => parent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by the derived Debug only")]
    struct Body {
        name: String,
        count: Option<u8>,
        kind: Option<Kind>,
        address: Option<Address>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        Two,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by the derived Debug only")]
    struct Address {
        street: String,
    }

    #[test]
    fn a_refusal_names_the_field_and_not_the_value() {
        let refusal = |body: &str| {
            let problem = parse::<Body>(body.as_bytes()).unwrap_err();
            match problem.errors() {
                [] => format!("{} {}", problem.code(), problem.detail()),
                [one] => format!("{}: {} ({})", one.field, one.message, one.code),
                _ => unreachable!(),
            }
        };
        let table = [
            (r#"{"count": 1}"#, "name: is required (required)"),
            (r#"{"name": "a", "id": 1}"#, "id: is not a field of this request (unknown_field)"),
            (r#"{"name": "a", "name": "b"}"#, "name: must not occur twice (duplicate_field)"),
            (r#"{"name": 123456}"#, "name: must be a string (type_invalid)"),
            (r#"{"name": "a", "count": 300}"#, "count: must be u8 (type_invalid)"),
            (r#"{"name": "a", "kind": "three"}"#, "kind: must be `one` or `two` (type_invalid)"),
            (r#"{"name": "a", "address": {}}"#, "address.street: is required (required)"),
            (
                r#"{"name": "a", "address": {"street": "b", "x": 1}}"#,
                "address.x: is not a field of this request (unknown_field)",
            ),
            (r#""text""#, "body: must be an object (type_invalid)"),
            (r#"{"name": "a"} x"#, "malformed_json the body is not JSON: line 1, column 15"),
            ("", "malformed_json the body is not JSON: line 1, column 0"),
            ("{\"name\": \"a\u{0}\"}", "malformed_json the body is not JSON: line 1, column 12"),
        ];
        for (body, expected) in table {
            assert_eq!(refusal(body), expected, "{body}");
        }
    }

    #[test]
    fn json_has_several_names() {
        let is = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            is_json(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        assert!(
            is("application/json")
                && is("Application/JSON; charset=utf-8")
                && is("application/merge-patch+json")
        );
        assert!(
            !is("text/json")
                && !is("")
                && !is("application/x-www-form-urlencoded")
                && !is("applicationx/json")
        );
        assert!(!is_json(&HeaderMap::new()));
    }
}
