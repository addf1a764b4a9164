use std::{fmt, str::FromStr};

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// An address to sign in with. Two spellings of one address are one address: comparison goes by [`Email::key`].
#[derive(Clone)]
pub struct Email {
    address: String,
    key: String,
}

impl Email {
    /// The longest address (RFC 5321 path, less its brackets).
    pub const MAX_LEN: usize = 254;

    /// The address that a store has kept. Not judged again, so that a rule that becomes stricter locks nobody out.
    pub fn from_stored(address: String) -> Self {
        let key = key(&address);
        Self { address, key }
    }

    /// The address as it was given, for mail and display.
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// The form that is unique within a plane: NFKC, lower case.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.address.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.address.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Email {
    type Err = Error;

    /// Reads one plain address: no display name, no quoted local part, no address literal, no control
    /// characters, a domain of at least two labels. 422 `email_invalid` otherwise.
    fn from_str(text: &str) -> Result<Self> {
        let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
        let parsed = EmailAddress::parse_with_options(text, options).ok().filter(|parsed| {
            text.len() <= Self::MAX_LEN
                && !parsed.local_part().starts_with('"')
                && !text.chars().any(|char| char.is_control() || char.is_whitespace())
        });
        if parsed.is_none() {
            return Err(Error::invalid_field("email", "email_invalid", "must be an e-mail address"));
        }
        Ok(Self::from_stored(text.to_owned()))
    }
}

fn key(address: &str) -> String {
    address.nfkc().collect::<String>().to_lowercase()
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Email {}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_key() {
        let email: Email = "Ada@Example.COM".parse().unwrap();
        assert_eq!(email.as_str(), "Ada@Example.COM");
        assert_eq!(email.key(), "ada@example.com");
        assert_eq!(email, "ada@example.com".parse().unwrap());
        assert_eq!((email.local_part(), email.domain()), ("Ada", "Example.COM"));
    }

    #[test]
    fn only_one_plain_address_is_accepted() {
        let long = format!("{}@example.com", "a".repeat(250));
        for wrong in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "ada@example.com,eve@example.com",
            "Ada <ada@example.com>",
            "ada@example.com\r\nBcc: eve@example.com",
            "\"a b\"@example.com",
            "ada@[127.0.0.1]",
            " ada@example.com",
            "ada@example.com\0",
            &long,
        ] {
            assert!(wrong.parse::<Email>().is_err(), "{wrong:?}");
        }
    }
}
