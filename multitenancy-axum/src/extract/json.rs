use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};

use super::parse::parse;
use crate::problem::Problem;

/// A JSON body, of a request or of an answer.
///
/// A body that cannot be read is a [`Problem`]: 415 `unsupported_media_type`, 413 `body_too_large`, 400 `malformed_json`,
/// and 422 `validation_failed` naming the field that is unknown, missing, doubled or of the wrong type. Put
/// `#[serde(deny_unknown_fields)]` on the types that you read, so that a client can set no other field (S110).
///
/// A struct is read from an object alone: serde would also accept an array of its fields in their order. Nested structs
/// are read as serde does.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_media_types_are_recognized() {
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
