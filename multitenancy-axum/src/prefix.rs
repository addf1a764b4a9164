use multitenancy_core::{Error, Result};

/// The path that endpoints are nested under: empty, or `/` and segments without a `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// Reads a configured prefix, in its one spelling, which is also the documented one. Segments of
    /// `[A-Za-z0-9._~-]` only: a router would take others for parameters.
    pub fn parse(text: &str) -> Result<Self> {
        let fits = |segment: &str| {
            !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
        };
        if text.is_empty() || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(fits)) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::config(format!("{text:?} is no path prefix: write it like /api/v1, or leave it empty")))
    }

    /// `text` with a `/` before it and none behind.
    pub fn lenient(text: &str) -> Self {
        let trimmed = text.trim_matches('/');
        Self(if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_has_one_spelling() {
        let parse = |text: &str| Prefix::parse(text).map(|prefix| prefix.0);
        for right in ["", "/api", "/api/v1"] {
            assert_eq!(parse(right).unwrap(), right);
        }
        for wrong in ["/", "api/v1", "/api/v1/", "/api//v1", "/{tenant}", "/:tenant", "/*rest", "/a b", "/ä"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for same in ["/api/v1", "api/v1", "/api/v1/", "api/v1/"] {
            assert_eq!(Prefix::lenient(same).0, "/api/v1");
        }
    }
}
