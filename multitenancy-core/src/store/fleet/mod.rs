//! Bringing the storage of many tenants to a version of the application's migrations, and telling where each is.
//!
//! A program serves a tenant only at the schema it was built for: the framework's migrations and the application's, all
//! of them. What is at another version is refused, 503 `tenant_upgrading`. So [`Target::Newest`] is for the program that
//! runs it, and an earlier version for an earlier program, which serves what was brought to *its* newest migration.

mod run;

use std::{fmt, time::Duration};

use async_trait::async_trait;

pub use self::run::{Failure, FleetReport, FleetRun, FleetWorker, Outcome, Progress};
use crate::{
    environment::Timestamp,
    error::{Error, Result},
    id::TenantId,
    tenant::{Isolation, Slug, not_found},
};

/// The migrations of the tenants' storage.
///
/// Versions are those of the application's own migrations for tenants; 0 is the state before the first of them. The
/// framework's are always brought to the newest, and never taken back. So is the control plane, by
/// [`migrate_all`](Self::migrate_all) at its start.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Starts to bring tenants to a version, and returns when it is known which.
    ///
    /// - Tenants that are recorded as being there are not touched, and are counted as
    ///    [skipped](FleetRun::skipped).
    /// - One tenant's failure does not keep the others from it.
    /// - Each step of a tenant happens wholly or not at all, also in a crash. Doing it again completes it.
    /// - Several may run at once, here and in other processes: a tenant is migrated by one of them, and found
    ///    [current](Outcome::Current) by the others.
    /// - While its storage is between two versions, and when it is at another than this program's, a tenant is refused:
    ///    [`Unavailable`](crate::ErrorKind::Unavailable) `tenant_upgrading`.
    /// - A version that the program does not have is [`Config`](crate::ErrorKind::Config); a chosen tenant that is not
    ///    there, or neither active nor suspended, is [`NotFound`](crate::ErrorKind::NotFound) `tenant_not_found`.
    async fn migrate_all(&self, options: &FleetOptions) -> Result<FleetRun>;

    /// Looks where tenants' storage is, in the order of their ids. Reads it all, whatever is recorded.
    ///
    /// - Storage that can not be read is told in its place.
    async fn status(&self, tenants: &Tenants) -> Result<Vec<FleetStatus>>;

    /// The application's migrations that a tenant's storage has had, in their order.
    ///
    /// - An unknown tenant is [`NotFound`](crate::ErrorKind::NotFound) `tenant_not_found`.
    async fn history(&self, tenant: TenantId) -> Result<Vec<AppliedMigration>>;
}

/// What [`Fleet::migrate_all`] is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetOptions {
    /// Which tenants. Default: all.
    pub tenants: Tenants,
    /// Where to. Default: the newest.
    pub target: Target,
    /// How many at once, each on a connection of its own beside those for units of work. Default: 4; at least 1, and at most
    /// as many as the store may open for units of work.
    pub at_once: usize,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { tenants: Tenants::All, target: Target::Newest, at_once: 4 }
    }
}

/// Which tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// Those that are active or suspended.
    All,
    /// These. Tenants that share tables can only be moved together: all of them or none.
    Only(Vec<TenantId>),
}

impl Tenants {
    /// Those of `alive` that are meant. One that is not among them is
    /// [`NotFound`](crate::ErrorKind::NotFound) `tenant_not_found`.
    pub fn choose(&self, mut alive: Vec<FleetTenant>) -> Result<Vec<FleetTenant>> {
        if let Self::Only(chosen) = self {
            if let Some(unknown) = chosen.iter().find(|id| alive.iter().all(|tenant| tenant.id != **id)) {
                return Err(not_found().with_context("tenant", unknown));
            }
            alive.retain(|tenant| chosen.contains(&tenant.id));
        }
        Ok(alive)
    }
}

/// Where to bring a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The newest migration of this program.
    Newest,
    /// This one, up or down; 0 takes all back.
    Version(i64),
    /// One version down: the one before the highest that any of the chosen tenants is recorded at. Begun anew after an
    /// interruption it completes the same step; after its end it takes the next.
    Previous,
}

/// A tenant, as the runs over all of them see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetTenant {
    /// Which.
    pub id: TenantId,
    /// Its name in addresses.
    pub slug: Slug,
    /// How it is kept apart.
    pub isolation: Isolation,
}

/// Where one tenant is.
#[derive(Debug)]
pub struct FleetStatus {
    /// Whose.
    pub tenant: FleetTenant,
    /// What its storage says, or why it could not be read.
    pub state: Result<FleetState>,
}

/// What a tenant's storage says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetState {
    /// The newest migration it has; 0 when it has none.
    pub applied: i64,
    /// The newest migration of this program; 0 when it has none.
    pub newest: i64,
    /// How many of the program's it does not have.
    pub pending: usize,
    /// What does not agree with the program.
    pub drift: Vec<Drift>,
    /// Whether this program serves it: exactly the program's migrations, the framework's too.
    pub current: bool,
}

/// A migration that the storage has had and the program does not have, not like this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Which.
    pub version: i64,
    /// What it is called.
    pub description: String,
    /// How they disagree.
    pub kind: DriftKind,
}

/// How a migration that was applied disagrees with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftKind {
    /// The program has another text under its version.
    Edited,
    /// The program has none of its version.
    Missing,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DriftKind::Edited => "was edited after it was applied",
            DriftKind::Missing => "was applied, and is missing from this program",
        };
        write!(f, "migration {} ({}) {what}", self.version, self.description)
    }
}

impl Drift {
    /// The error that refuses to migrate what has drifted; `None` when nothing has.
    pub fn refusal(drift: &[Self]) -> Option<Error> {
        let all: Vec<_> = drift.iter().map(ToString::to_string).collect();
        (!all.is_empty()).then(|| Error::config(all.join("; ")))
    }
}

/// A migration that was applied to a tenant's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Which.
    pub version: i64,
    /// What it is called.
    pub description: String,
    /// When.
    pub applied_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// How it disagrees with the program's; `None` when it is the same.
    pub drift: Option<DriftKind>,
}
