use std::{fmt, str::FromStr};

use argon2::password_hash::phc;

use crate::error::{Error, Result};

/// A hashed password as a PHC string, such as `$argon2id$v=19$m=19456,t=2,p=1$…`. Never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The text to store.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for PasswordHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        phc::PasswordHash::new(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|error| Error::internal(error).with_context("value", "stored password hash"))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}
