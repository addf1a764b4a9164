use std::str::FromStr;

use axum::{
    extract::{FromRequestParts, Path as AxumPath},
    http::request::Parts,
};

use crate::problem::Problem;

/// The one parameter of a path, parsed. A value that does not parse is 404 `not_found`, as an unknown id is (E19).
///
/// ```
/// use multitenancy_axum::Path;
/// use multitenancy_core::UserId;
///
/// async fn show(Path(id): Path<UserId>) -> String {
///     id.to_string()
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: FromStr + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let AxumPath(text) = AxumPath::<String>::from_request_parts(parts, state).await.map_err(
            |rejection| match rejection.status().is_server_error() {
                // The route has another number of parameters: a fault of the program, not of the client.
                true => rejection.into(),
                false => Problem::not_found(),
            },
        )?;
        text.parse().map(Self).map_err(|_malformed| Problem::not_found())
    }
}
