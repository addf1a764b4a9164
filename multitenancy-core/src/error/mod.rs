//! The one error of every port and use case.

pub mod code;

use std::{error::Error as StdError, fmt, time::Duration};

pub use self::code::Code;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Both values, or one refusal that names the refused fields of both. Any other error comes before a refusal.
pub fn both<A, B>(a: Result<A>, b: Result<B>) -> Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(mut a), Err(b)) => match (a.kind(), b.kind()) {
            (ErrorKind::Invalid, ErrorKind::Invalid) => {
                a.0.fields.extend(b.0.fields);
                Err(a)
            }
            (ErrorKind::Invalid, _) => Err(b),
            _ => Err(a),
        },
    }
}

/// What went wrong, in a form that is safe to answer with.
///
/// `Display` is one line that may reach a client. `Debug` is the whole report, with context and causes: for
/// logs only. `{:#?}` gives each its own line: for an operator's terminal.
pub struct Error(Box<Report>);

struct Report {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The class of an [`Error`]. Adapters map it to their protocol: HTTP statuses stand in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be read (400).
    Malformed,
    /// No valid credential (401).
    Unauthenticated,
    /// A valid credential that does not allow this (403).
    Forbidden,
    /// There is no such thing, or it belongs to somebody else (404).
    NotFound,
    /// It collides with what is there (409).
    Conflict,
    /// It can be read, but its values are refused; see [`Error::fields`] (422).
    Invalid,
    /// Too much at once; [`Error::retry_after`] says when to try again (503).
    Overloaded,
    /// Something this service depends on does not answer (503).
    Unavailable,
    /// The outcome is unknown: check before retrying (500).
    Unknown,
    /// The deployment is wired or configured wrongly: refuse to start (500).
    Config,
    /// A surprise (500).
    Internal,
}

/// One refused value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// The field's name as the caller wrote it.
    pub field: String,
    /// A stable code, for programs.
    pub code: &'static str,
    /// A sentence, for people.
    pub message: String,
}

impl Error {
    /// An error of `kind`, with a stable `code` and a message that may reach a client.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Report {
            kind,
            code,
            message: message.into(),
            fields: Vec::new(),
            retry_after: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// An error of the framework's own table, with its meaning as the message.
    pub fn of(code: Code) -> Self {
        Self::new(code.kind, code.name, code.meaning)
    }

    /// A surprise, caused by `source`. The client learns nothing of it.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::of(code::INTERNAL_ERROR).with_source(source)
    }

    /// A deployment that must not start; `message` says what to change.
    pub fn config(message: impl Into<String>) -> Self {
        Self::of(code::MISCONFIGURED).with_message(message)
    }

    /// Refused values.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        let mut error = Self::of(code::VALIDATION_FAILED);
        error.0.fields = fields;
        error
    }

    /// One refused value.
    pub fn invalid_field(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), code, message: message.into() }])
    }

    /// Too much at once; try again after `retry_after`.
    pub fn overloaded(message: impl Into<String>, retry_after: Duration) -> Self {
        let mut error = Self::of(code::OVERLOADED).with_message(message);
        error.0.retry_after = Some(retry_after);
        error
    }

    /// Says more than the code's meaning; it may reach a client.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Adds a fact for the report. Never shown to a client.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Adds the cause. Never shown to a client.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code, such as `tenant_not_found`.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Whether this is the error of `code`.
    pub fn is(&self, code: Code) -> bool {
        self.0.code == code.name
    }

    /// The refused values, when the kind is [`ErrorKind::Invalid`].
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// How long to wait before trying again, where waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Overloaded | ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, field) in self.0.fields.iter().enumerate() {
            write!(f, "{} {}: {}", if index == 0 { ":" } else { ";" }, field.field, field.message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (next_fact, next_cause) = if f.alternate() { ("\n  ", "\n  ") } else { (", ", "; ") };
        write!(f, "{} ({:?}): {self}", self.0.code, self.0.kind)?;
        for (key, value) in &self.0.context {
            write!(f, "{next_fact}{key}={value:?}")?;
        }
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "{next_cause}caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_safe_and_debug_is_the_report() {
        let error = Error::internal("UNIQUE constraint failed: users.email").with_context("tenant", "acme");
        assert_eq!(error.to_string(), "something went wrong on our side");
        assert_eq!(
            format!("{error:?}"),
            "internal_error (Internal): something went wrong on our side, tenant=\"acme\"; \
             caused by: UNIQUE constraint failed: users.email"
        );
        assert_eq!(
            format!("{error:#?}"),
            "internal_error (Internal): something went wrong on our side\n  tenant=\"acme\"\n  \
             caused by: UNIQUE constraint failed: users.email"
        );
    }

    #[test]
    fn both_names_what_either_refuses() {
        let refused = |field: &str| Err::<u8, _>(Error::invalid_field(field, "code", "message"));
        let busy = || Err::<u8, _>(Error::overloaded("busy", Duration::from_secs(1)));
        assert_eq!(both(Ok(1), Ok("b")).unwrap(), (1, "b"));
        let fields = both(refused("a"), both(refused("b"), refused("c"))).unwrap_err();
        assert_eq!(fields.to_string(), "some values were refused: a: message; b: message; c: message");
        assert_eq!(both(refused("a"), Ok(1)).unwrap_err().fields().len(), 1);
        for error in [both(refused("a"), busy()), both(busy(), refused("a")), both(busy(), Ok(1))] {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::Overloaded);
        }
    }
}
