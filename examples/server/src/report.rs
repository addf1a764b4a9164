//! Error reports for operators.

use std::{error::Error as StdError, fmt::Write};

/// The error with its causes, a line each. The report has details that no client may see.
pub fn report(error: &(dyn StdError + 'static)) -> String {
    if let Some(error) = error.downcast_ref::<multitenancy::Error>() {
        return format!("{error:#?}");
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _infallible = write!(text, "\n  caused by: {error}");
        cause = error.source();
    }
    text
}
