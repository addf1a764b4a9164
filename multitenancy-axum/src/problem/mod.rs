//! The one way to refuse a request: RFC 9457, `application/problem+json`.

mod codes;
mod document;
mod response;

use std::{error::Error as StdError, time::Duration};

use axum::http::StatusCode;
use multitenancy_core::{Error, ErrorKind, error::FieldError};

pub(crate) use self::{document::ProblemDocument, response::complete};
use crate::log::OneLine;

/// A refused request, answered as `application/problem+json` (RFC 9457).
///
/// `?` converts every error: a [`multitenancy_core::Error`] keeps its status, code and refused values; any other error is
/// 500 `internal_error`, whose cause goes to the log and never to the client (S109).
///
/// ```
/// use multitenancy_axum::Problem;
///
/// async fn handler() -> Result<String, Problem> {
///     let text = std::fs::read_to_string("/nowhere")?;
///     Ok(text)
/// }
/// ```
///
/// `instance` and `request_id` are filled in by [`RequestLayer`](crate::RequestLayer).
#[derive(Debug, Clone)]
pub struct Problem(Box<Content>);

#[derive(Debug, Clone)]
struct Content {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem of the application: `code` is stable, for programs; `detail` is a sentence, for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Content { status, code, detail: detail.into(), errors: Vec::new(), retry_after: None }))
    }

    /// 404 `not_found`: it does not exist, or belongs to another user or tenant.
    pub fn not_found() -> Self {
        Self::of_status(StatusCode::NOT_FOUND)
    }

    /// 422 `validation_failed`: some values were refused.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self::from(Error::invalid(fields))
    }

    /// Adds the time to wait before trying again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code, such as `tenant_not_found`.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The refused values.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The problem of a bare status: 403 is `forbidden`, 409 `conflict`. A status without a code of its own is
    /// `request_refused`, or from 500 on `internal_error`.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, meaning) = codes::of_status(status);
        Self::new(status, code, meaning)
    }

    fn of(error: Error) -> Self {
        let status = codes::status_of(error.kind());
        if status == StatusCode::INTERNAL_SERVER_ERROR && error.kind() != ErrorKind::Unknown {
            tracing::error!(error = %OneLine(&error), "request failed");
            return Self::of_status(status);
        }
        if status.is_server_error() {
            tracing::warn!(error = %OneLine(&error), "request could not be served");
        } else {
            tracing::debug!(error = %OneLine(&error), "request refused");
        }
        let (detail, errors) = match error.fields() {
            [] => (error.to_string(), Vec::new()),
            fields => (codes::of_status(status).1.to_owned(), fields.to_vec()),
        };
        let mut problem = Self::new(status, error.code(), detail);
        problem.0.errors = errors;
        problem.0.retry_after = error.retry_after();
        problem
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Problem {
    fn from(error: E) -> Self {
        let error: Box<dyn StdError + Send + Sync> = Box::new(error);
        match error.downcast::<Error>() {
            Ok(error) => Self::of(*error),
            Err(surprise) => Self::of(Error::internal(surprise)),
        }
    }
}
