use std::{fmt, str::FromStr};

use crate::error::{Error, Result};

/// Which events a subscriber wants: `user.created` (one type), `user.*` (all that begin with `user.`) or `*` (all).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    All,
    Prefix(String),
    Exact(String),
}

impl Pattern {
    /// Whether an event of this type is wanted.
    pub fn matches(&self, event_type: &str) -> bool {
        match &self.0 {
            Kind::All => true,
            Kind::Prefix(prefix) => event_type.starts_with(prefix.as_str()),
            Kind::Exact(exact) => event_type == exact,
        }
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let segment_fits = |segment: &str| {
            !segment.is_empty() && segment.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        };
        let names_fit = |names: &str| names.split('.').all(segment_fits);
        if text == "*" {
            Ok(Self(Kind::All))
        } else if let Some(prefix) = text.strip_suffix(".*").filter(|prefix| names_fit(prefix)) {
            Ok(Self(Kind::Prefix(format!("{prefix}."))))
        } else if names_fit(text) {
            Ok(Self(Kind::Exact(text.to_owned())))
        } else {
            Err(Error::config(format!(
                "{text:?} is no event pattern: write a type such as user.created, a prefix such as user.*, or *"
            )))
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::All => f.write_str("*"),
            Kind::Prefix(prefix) => write!(f, "{prefix}*"),
            Kind::Exact(exact) => f.write_str(exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_segments() {
        let matches = |pattern: &str, event: &str| pattern.parse::<Pattern>().unwrap().matches(event);
        assert!(matches("*", "user.created") && matches("user.*", "user.created"));
        assert!(matches("user.created", "user.created"));
        assert!(!matches("user.*", "users.created") && !matches("user.*", "user"));
        assert!(!matches("user.created", "user.created.late") && !matches("user.created", "user.create"));
        for wrong in
            ["", "user.", ".user", "*.created", "user*", "user.**", "User.created", "user..x", "user .*"]
        {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong:?}");
        }
    }
}
