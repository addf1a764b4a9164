//! What an operator reads of an error.

use std::{error::Error as StdError, fmt::Write};

/// The error with its causes, a line each. An operator's terminal may see what a client may not.
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
