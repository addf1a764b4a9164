use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The name of a role: 1 to 64 characters of `[a-z0-9_]`. What a role may do is said where the application is
/// composed; see [`Grants`](crate::permission::Grants).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Role(Cow<'static, str>);

impl Role {
    /// Sees their own profile, sessions and tenant.
    pub const GUEST: Self = Self(Cow::Borrowed("guest"));
    /// Works in the tenant. What registering gives.
    pub const MEMBER: Self = Self(Cow::Borrowed("member"));
    /// Administers the tenant's users and settings.
    pub const ADMIN: Self = Self(Cow::Borrowed("admin"));
    /// Owns the tenant.
    pub const OWNER: Self = Self(Cow::Borrowed("owner"));
    /// Administers the platform.
    pub const SUPER_ADMIN: Self = Self(Cow::Borrowed("super_admin"));

    /// The built-in roles from the lowest level, 0, upwards. Each may do all that the ones below it may.
    pub const LADDER: [Self; 5] = [Self::GUEST, Self::MEMBER, Self::ADMIN, Self::OWNER, Self::SUPER_ADMIN];

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The level of a built-in role: guest 0, member 1, admin 2, owner 3, super_admin 4.
    pub fn level(&self) -> Option<usize> {
        Self::LADDER.iter().position(|role| role == self)
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if fits {
            return Ok(Self(Cow::Owned(text.to_owned())));
        }
        Err(Error::invalid_field("role", "role_invalid", "must be 1 to 64 characters of a-z, 0-9 and _"))
    }
}

impl TryFrom<String> for Role {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.0.into_owned()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
