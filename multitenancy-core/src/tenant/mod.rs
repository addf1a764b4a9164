//! The isolated customer: its noun, its names, and the context that work for it is done in.

mod context;
mod events;
mod repository;
mod resolution;
mod slug;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub(crate) use self::resolution::{mismatch, required};
pub use self::{
    context::{ControlContext, TenantContext},
    events::{TenantActivated, TenantCanceled, TenantCreated, TenantSuspended},
    repository::{
        Membership, MembershipRepository, StatusChange, TenantRepository, domain_taken, slug_taken,
        tenant_inactive,
    },
    resolution::{Domain, Resolution, TenantKey, not_found},
    slug::Slug,
};
use crate::{
    environment::Timestamp,
    error::{Error, Result, code},
    id::{TenantId, UserId},
};

/// An isolated customer. Owned by a platform user, it is what the API calls an organization.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Immutable; storage names derive from it and from nothing else.
    pub id: TenantId,
    /// What people call it.
    pub name: TenantName,
    /// Its name in addresses; unique.
    pub slug: Slug,
    /// Its own domain; unique.
    pub domain: Option<Domain>,
    /// What it pays for.
    pub plan: Plan,
    /// Where it is in its life.
    pub status: TenantStatus,
    /// How its data is kept apart.
    pub isolation: Isolation,
    /// The platform user who owns it.
    pub owner_id: UserId,
    /// Free settings of the application.
    pub settings: TenantSettings,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

impl Tenant {
    /// Refuses a tenant that is not [active](TenantStatus::Active): 403 `tenant_inactive`.
    pub fn require_active(&self) -> Result<()> {
        if self.status == TenantStatus::Active {
            return Ok(());
        }
        Err(tenant_inactive(self.id).with_context("status", self.status))
    }
}

/// What people call a tenant: 1 to 200 characters, no control characters, no white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TenantName(String);

impl TenantName {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 200;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 || length > Self::MAX_CHARS || text.chars().any(char::is_control) {
            return Err(Error::invalid_field(
                "name",
                "name_invalid",
                "must be 1 to 200 printable characters",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where a tenant is in its life: `provisioning → active ⇄ suspended → canceled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantStatus {
    /// Its storage is being made. Completed or undone, never left.
    Provisioning,
    /// Its users can work.
    Active,
    /// Refused everywhere, for now.
    Suspended,
    /// Refused everywhere, for good.
    Canceled,
}

impl TenantStatus {
    /// The name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Canceled => "canceled",
        }
    }

    /// Suspended or canceled: what is written inside the tenant is not committed.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Suspended | Self::Canceled)
    }

    /// Moves on to `next`; a forbidden move is 409 `invalid_transition`.
    pub fn transition(self, next: Self) -> Result<Self> {
        use TenantStatus::{Active, Canceled, Provisioning, Suspended};
        match (self, next) {
            (Provisioning, Active) | (Active, Suspended | Canceled) | (Suspended, Active | Canceled) => {
                Ok(next)
            }
            _ => Err(Error::of(code::INVALID_TRANSITION)
                .with_message(format!("a tenant that is {self} cannot become {next}"))),
        }
    }
}

/// How a tenant's data is kept apart from the others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// One set of tables, guarded by row-level security.
    Shared,
    /// A schema of its own.
    Schema,
    /// A database of its own; a file on SQLite.
    Database,
}

impl Isolation {
    /// The name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Schema => "schema",
            Self::Database => "database",
        }
    }
}

macro_rules! named {
    ($($type:ident: $what:literal [$($variant:ident),*])*) => {$(
        impl $type {
            /// Every one there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or_else(|| {
                    let known = [$(Self::$variant.as_str()),*].join(", ");
                    Error::config(format!(concat!($what, " {:?} is unknown; known are {}"), text, known))
                })
            }
        }
    )*};
}

named! {
    TenantStatus: "tenant status" [Provisioning, Active, Suspended, Canceled]
    Isolation: "isolation" [Shared, Schema, Database]
}

/// What a tenant pays for. An open set: `free` (the default), `starter`, `pro`, `enterprise` and the application's
/// own, in 1 to 40 characters of `[a-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Plan(String);

impl Plan {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self("free".to_owned())
    }
}

impl FromStr for Plan {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = (1..=40).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid_field("plan", "plan_invalid", "must be 1 to 40 characters of a-z, 0-9, _ and -"))
    }
}

/// Free settings of the application, as a JSON object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantSettings(pub serde_json::Map<String, serde_json::Value>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_drawn_moves_are_allowed() {
        use TenantStatus::*;
        let all = TenantStatus::ALL;
        let allowed: Vec<_> = all
            .iter()
            .flat_map(|from| all.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from.transition(*to).is_ok())
            .collect();
        assert_eq!(
            allowed,
            [
                (Provisioning, Active),
                (Active, Suspended),
                (Active, Canceled),
                (Suspended, Active),
                (Suspended, Canceled),
            ]
        );
        assert_eq!(Canceled.transition(Active).unwrap_err().code(), "invalid_transition");
    }

    #[test]
    fn an_unknown_stored_name_is_an_error() {
        assert_eq!("active".parse::<TenantStatus>().unwrap(), TenantStatus::Active);
        assert!("ACTIVE".parse::<TenantStatus>().is_err());
        assert_eq!(
            "table".parse::<Isolation>().unwrap_err().to_string(),
            "isolation \"table\" is unknown; known are shared, schema, database"
        );
    }
}
