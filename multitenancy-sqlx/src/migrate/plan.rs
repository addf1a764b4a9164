//! The migrations of one kind of storage: the framework's, then the application's, each with its own history. This
//! module only plans; it reads and writes nothing.

use std::time::Duration;

use multitenancy_core::{
    Error, Result, Timestamp,
    store::fleet::{AppliedMigration, Drift, DriftKind, FleetState},
};
use sha2::{Digest, Sha256};
use sqlx::migrate::{Migration, Migrator};

/// Replaces the fingerprint while storage is between two versions: no program serves such storage.
pub(crate) const UNDERWAY: &str = "underway";

pub(crate) struct Migrations {
    histories: Vec<Migrator>,
    /// The index of the application's migrations.
    application: Option<usize>,
    /// Each version of the application from 0 on, with the fingerprint of the whole schema at that version.
    fingerprints: Vec<(i64, String)>,
}

/// An applied migration.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Applied {
    /// Its history: an index of [`Migrations::histories`].
    pub history: i32,
    pub version: i64,
    pub description: String,
    pub installed_on: Timestamp,
    pub checksum: Vec<u8>,
    pub execution_time: i64,
}

/// The steps that bring storage to a version.
#[derive(Debug)]
pub(crate) struct Plan<'m> {
    pub steps: Vec<Step<'m>>,
    /// The version before.
    pub from: i64,
}

/// One migration to apply or to revert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'m> {
    pub history: &'m Migrator,
    pub migration: &'m Migration,
}

/// How to treat missing storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// Create it.
    Create,
    /// Fail: the missing storage of an active tenant must not come back empty.
    Fail,
}

impl Migrations {
    pub fn new(framework: impl IntoIterator<Item = Migrator>, application: Option<Migrator>) -> Self {
        let mut histories: Vec<_> = framework.into_iter().collect();
        let index = application.is_some().then_some(histories.len());
        histories.extend(application);
        let fingerprints = fingerprints(&histories, index);
        Self { histories, application: index, fingerprints }
    }

    pub fn histories(&self) -> &[Migrator] {
        &self.histories
    }

    /// The application's newest version; 0 without migrations.
    pub fn newest(&self) -> i64 {
        self.fingerprints.last().map_or(0, |(version, _)| *version)
    }

    /// The fingerprint of this program's newest schema: storage with this fingerprint is current.
    pub fn fingerprint(&self) -> &str {
        self.fingerprints.last().map_or(UNDERWAY, |(_, fingerprint)| fingerprint)
    }

    /// The fingerprint at one of the application's versions. Refuses an unknown version.
    pub fn fingerprint_at(&self, version: i64) -> Result<&str> {
        let found = self.fingerprints.iter().find(|(known, _)| *known == version);
        found.map(|(_, fingerprint)| &**fingerprint).ok_or_else(|| {
            Error::config(format!("this program has no migration {version} of tenants, and it is not 0"))
        })
    }

    /// The version of a fingerprint.
    pub fn version_of(&self, fingerprint: &str) -> Option<i64> {
        self.fingerprints.iter().find(|(_, known)| known == fingerprint).map(|(version, _)| *version)
    }

    /// The next lower version.
    pub fn before(&self, version: i64) -> i64 {
        self.fingerprints.iter().rev().map(|(known, _)| *known).find(|known| *known < version).unwrap_or(0)
    }

    /// The steps that bring storage with the migrations `applied` to `version`. Refuses drift, and migrations that
    /// cannot be reverted.
    pub fn plan(&self, applied: &[Applied], version: i64) -> Result<Plan<'_>> {
        let mut steps = Vec::new();
        let mut drift = Vec::new();
        for (index, history) in self.histories.iter().enumerate() {
            let own: Vec<_> = applied.iter().filter(|row| row.history as usize == index).collect();
            drift.extend(own.iter().filter_map(|row| drifted(history, row)));
            let target = if self.application == Some(index) { version } else { i64::MAX };
            for row in own.iter().rev().filter(|row| row.version > target) {
                let down = history.iter().find(|migration| {
                    migration.version == row.version && migration.migration_type.is_down_migration()
                });
                let step = down.map(|migration| Step { history, migration });
                steps.push(step.ok_or_else(|| irreversible(row)));
            }
            let pending = ups(history).filter(|migration| {
                migration.version <= target && own.iter().all(|row| row.version != migration.version)
            });
            steps.extend(pending.map(|migration| Ok(Step { history, migration })));
        }
        if let Some(refusal) = Drift::refusal(&drift) {
            return Err(refusal);
        }
        Ok(Plan { steps: steps.into_iter().collect::<Result<_>>()?, from: self.version(applied) })
    }

    /// The status of storage with this marker and the migrations `applied`.
    pub fn state(&self, applied: &[Applied], marker: &str) -> FleetState {
        let pending = self.application().map_or(0, |history| {
            let missing = |up: &&Migration| !self.own(applied).any(|row| row.version == up.version);
            ups(history).filter(missing).count()
        });
        let drift = applied.iter().filter_map(|row| drifted(self.histories.get(row.history as usize)?, row));
        FleetState {
            applied: self.version(applied),
            newest: self.newest(),
            pending,
            drift: drift.collect(),
            current: marker == self.fingerprint(),
        }
    }

    /// The application's own history.
    pub fn history(&self, applied: &[Applied]) -> Vec<AppliedMigration> {
        let Some(history) = self.application() else { return Vec::new() };
        let report = |row: &Applied| AppliedMigration {
            version: row.version,
            description: row.description.clone(),
            applied_at: row.installed_on,
            // Negative when the process ended before the time was known.
            duration: Duration::from_nanos(row.execution_time.try_into().unwrap_or(0)),
            drift: drifted(history, row).map(|drift| drift.kind),
        };
        self.own(applied).map(report).collect()
    }

    fn application(&self) -> Option<&Migrator> {
        self.histories.get(self.application?)
    }

    fn own<'a>(&self, applied: &'a [Applied]) -> impl Iterator<Item = &'a Applied> {
        let index = self.application;
        applied.iter().filter(move |row| Some(row.history as usize) == index)
    }

    fn version(&self, applied: &[Applied]) -> i64 {
        self.own(applied).map(|row| row.version).max().unwrap_or(0)
    }
}

fn ups(history: &Migrator) -> impl Iterator<Item = &Migration> {
    history.iter().filter(|migration| migration.migration_type.is_up_migration())
}

fn drifted(history: &Migrator, row: &Applied) -> Option<Drift> {
    let (version, description) = (row.version, row.description.clone());
    let kind = match ups(history).find(|migration| migration.version == version) {
        Some(migration) if *migration.checksum == *row.checksum => return None,
        Some(_) => DriftKind::Edited,
        None if history.ignore_missing => return None,
        None => DriftKind::Missing,
    };
    Some(Drift { version, description, kind })
}

fn irreversible(row: &Applied) -> Error {
    let Applied { version, description, .. } = row;
    Error::config(format!(
        "migration {version} ({description}) cannot be reverted: it has no down script, and nothing was changed"
    ))
}

/// The fingerprints of these migrations, in order and each with its history, for every version of the application.
/// Scripts that revert are not included: adding one changes no storage.
fn fingerprints(histories: &[Migrator], application: Option<usize>) -> Vec<(i64, String)> {
    let named =
        |hasher: &Sha256| hasher.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut hasher = Sha256::new();
    let mut named_at = Vec::new();
    for (index, history) in histories.iter().enumerate() {
        hasher.update(history.table_name.as_bytes());
        let own = application == Some(index);
        if own {
            named_at.push((0, named(&hasher)));
        }
        for migration in ups(history) {
            hasher.update(migration.version.to_le_bytes());
            hasher.update(&migration.checksum);
            if own {
                named_at.push((migration.version, named(&hasher)));
            }
        }
    }
    if named_at.is_empty() {
        named_at.push((0, named(&hasher)));
    }
    named_at
}
