use std::{collections::HashSet, fmt, str::FromStr, sync::LazyLock};

use serde::Serialize;

use super::TenantName;
use crate::{
    error::{Error, Result},
    id::TenantId,
};

/// A tenant's name in addresses: ASCII `[a-z0-9-]`, 3 to 63 characters, no hyphen at its ends nor a pair of them
/// in places 3 and 4 (which would make it a punycode label, `xn--` among them) (S5).
///
/// A tenant can not take a [reserved](Self::require_unreserved) one. That is asked when it is taken and not when it
/// is read, so that a list that grows locks nobody out of what they have. Their host alone becomes the platform's (see
/// [`Resolution`](super::Resolution)).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// The shortest slug.
    pub const MIN_LEN: usize = 3;
    /// The longest slug: the longest label of a host name (RFC 1035).
    pub const MAX_LEN: usize = 63;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The slug nearest to `name`: its ASCII letters and digits in lower case, everything else a hyphen. Fails
    /// when nothing usable is left, as of a name in another script.
    pub fn derive(name: &TenantName) -> Result<Self> {
        let mut slug = String::new();
        for char in name.as_str().chars() {
            match char.to_ascii_lowercase() {
                char @ ('a'..='z' | '0'..='9') => slug.push(char),
                _ if slug.is_empty() || slug.ends_with('-') => {}
                _ => slug.push('-'),
            }
        }
        slug.truncate(Self::MAX_LEN);
        let derived: Result<Self> = slug.trim_end_matches('-').parse();
        derived.and_then(|slug| slug.require_unreserved().map(|()| slug)).map_err(|_| {
            Error::invalid_field("slug", "slug_required", "none can be made from this name: give one")
        })
    }

    /// Refuses a slug that is kept for the platform's own use: 422 `slug_reserved`.
    pub fn require_unreserved(&self) -> Result<()> {
        static RESERVED: LazyLock<HashSet<&str>> =
            LazyLock::new(|| include_str!("reserved_slugs.txt").split_whitespace().collect());
        if RESERVED.contains(self.as_str()) {
            return Err(Error::invalid_field("slug", "slug_reserved", "is reserved"));
        }
        Ok(())
    }
}

impl FromStr for Slug {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |code, message: &str| Err(Error::invalid_field("slug", code, message));
        let bytes = text.as_bytes();
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&bytes.len())
            || !bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            return refuse("slug_invalid", "must be 3 to 63 characters of a-z, 0-9 and -");
        }
        if bytes.starts_with(b"-") || bytes.ends_with(b"-") || bytes[2..].starts_with(b"--") {
            return refuse("slug_invalid", "must not begin or end with -, nor have -- in places 3 and 4");
        }
        if text.parse::<TenantId>().is_ok() {
            return refuse("slug_invalid", "must not look like an identifier");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S5.
    #[test]
    fn s5_slugs_are_host_labels_without_tricks() {
        for right in ["abc", "a-b", "a1b2", "acme-corp", "123", &"a".repeat(63)] {
            assert!(right.parse::<Slug>().is_ok(), "{right}");
        }
        let long = "a".repeat(64);
        for wrong in [
            "",
            "ab",
            &long,
            "-ab",
            "ab-",
            "xn--abc",
            "ab--c",
            "Acme",
            "acme corp",
            "acme_corp",
            "acme.com",
            "аcme",
            "acmé",
            "a\u{200b}bc",
            "abc\n",
            "a/../b",
        ] {
            assert!(wrong.parse::<Slug>().is_err(), "{wrong:?}");
        }
    }

    /// S5: the reserved list holds at least 200 names, each of which would otherwise be a slug.
    #[test]
    fn s5_the_reserved_list_is_long_and_tidy() {
        let names: Vec<_> = include_str!("reserved_slugs.txt").split_whitespace().collect();
        assert!(names.len() >= 200, "{}", names.len());
        assert!(names.is_sorted(), "sort the list");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        for name in names {
            let slug: Slug = name.parse().unwrap();
            assert_eq!(slug.require_unreserved().unwrap_err().fields()[0].code, "slug_reserved", "{name}");
        }
    }

    #[test]
    fn a_slug_derives_from_a_name() {
        let derive = |name: &str| Slug::derive(&name.parse().unwrap()).map(|slug| slug.to_string());
        assert_eq!(derive("Acme & Sons, Ltd.").unwrap(), "acme-sons-ltd");
        assert_eq!(derive("  9 to 5  ").unwrap(), "9-to-5");
        assert_eq!(derive(&"x".repeat(100)).unwrap().len(), 63);
        for none in ["Ω", "日本", "API", "ab"] {
            assert_eq!(derive(none).unwrap_err().fields()[0].code, "slug_required", "{none}");
        }
    }
}
