//! Identifiers: UUIDv7 inside, a type of their own outside.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{
    environment::Environment,
    error::{Error, code},
};

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The length of its one spelling.
            pub const TEXT_LEN: usize = uuid::fmt::Hyphenated::LENGTH;

            /// A new identifier. Version 7: ordered by the time of its making, which it reveals.
            pub fn generate(environment: &Environment) -> Self {
                Self(environment.uuid())
            }

            /// The identifier stored as `uuid`.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The value to store.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Uuid::deserialize(deserializer).map(Self)
            }
        }
    )*};
}

id! {
    /// Names a tenant. Never reused, and the only thing storage names derive from.
    TenantId;
    /// Names a user, of the platform or of one tenant.
    UserId;
    /// Names a session.
    SessionId;
    /// Names an event; the same at every redelivery.
    EventId;
    /// Names a record of an audit log.
    AuditId;
}

/// The one accepted spelling is the hyphenated one, so that an id has one form in logs, links and cache keys.
fn parse(text: &str) -> Result<Uuid, Error> {
    let malformed = || Error::of(code::MALFORMED_ID);
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(malformed());
    }
    Uuid::try_parse(text).map_err(|_| malformed())
}

/// Where something lives: in the registry, or inside one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plane {
    /// The registry: tenants and platform users.
    Control,
    /// Everything that belongs to one tenant.
    Tenant(TenantId),
}

impl Plane {
    /// The tenant, inside one.
    pub fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Control => None,
            Self::Tenant(id) => Some(id),
        }
    }

    /// The value of the `tenant_id` column of this plane's rows: the nil UUID on the control plane, so that
    /// both planes share their tables' shape and their SQL.
    pub fn scope(self) -> Uuid {
        self.tenant().map_or(Uuid::nil(), |id| id.as_uuid())
    }
}

impl fmt::Display for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control => f.write_str("control"),
            Self::Tenant(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E19: a path id parses to its type before use, in one spelling.
    #[test]
    fn only_the_hyphenated_form_parses() {
        let text = "0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11";
        assert_eq!(text.parse::<TenantId>().unwrap().to_string(), text);
        for wrong in [
            "",
            "0190b6a47c5e7d3c8c6a5e8f5b3f2a11",
            "{0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11}",
            "urn:uuid:0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11",
            "../../etc/passwd-aaaaaaaaaaaaaaaaaaa",
            "0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a1\0",
        ] {
            assert_eq!(wrong.parse::<TenantId>().unwrap_err().code(), "malformed_id", "{wrong:?}");
        }
    }
}
