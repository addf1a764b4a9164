//! The command `migrate`: migrates the tenants' storage in the store that `DATABASE_URL` names.

use std::{error::Error, io::Write};

use clap::{Args, Subcommand};
use multitenancy::{
    ControlContext, Store,
    store::fleet::{FleetOptions, FleetStatus, FleetTenant, Outcome, Progress, Target, Tenants},
    tenant::{TenantKey, not_found},
};

/// Migrate the storage of tenants, or show its version. Exits with 1 if a tenant fails.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Only the tenant with this id or slug. Default: all tenants.
    #[arg(long, global = true, value_name = "ID or SLUG")]
    tenant: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Migrate to the newest version.
    Up,
    /// Undo the newest version that any tenant has.
    Down,
    /// Migrate to this version, up or down. Version 0 undoes all migrations.
    To { version: i64 },
    /// Show each tenant's version, and its differences from this program.
    Status,
    /// Show which migrations each tenant had, and when.
    History,
}

impl Arguments {
    /// Whether the command changes storage.
    pub fn changes_storage(&self) -> bool {
        matches!(self.command, Command::Up | Command::Down | Command::To { .. })
    }
}

type Outcomes = Result<(), Box<dyn Error>>;

/// Runs the command, and writes a line per tenant to `out`.
pub async fn run(store: &dyn Store, arguments: &Arguments, out: &mut (dyn Write + Send)) -> Outcomes {
    let tenants = match &arguments.tenant {
        None => Tenants::All,
        Some(name) => Tenants::Only(vec![find(store, name).await?]),
    };
    match arguments.command {
        Command::Up => migrate(store, tenants, Target::Newest, out).await,
        Command::Down => migrate(store, tenants, Target::Previous, out).await,
        Command::To { version } => migrate(store, tenants, Target::Version(version), out).await,
        Command::Status => status(store, &tenants, out).await,
        Command::History => history(store, &tenants, out).await,
    }
}

async fn find(store: &dyn Store, name: &str) -> multitenancy::Result<multitenancy::TenantId> {
    let key = match name.parse() {
        Ok(id) => TenantKey::Id(id),
        Err(_) => TenantKey::Slug(name.parse()?),
    };
    let mut unit = store.read_control(&ControlContext::system("migration")).await?;
    Ok(unit.tenants().find(&key).await?.ok_or_else(not_found)?.id)
}

async fn migrate(
    store: &dyn Store,
    tenants: Tenants,
    target: Target,
    out: &mut (dyn Write + Send),
) -> Outcomes {
    let options = FleetOptions { tenants, target, ..FleetOptions::default() };
    let mut run = store.fleet().migrate_all(&options).await?;
    while let Some(Progress { tenant, done, of, outcome }) = run.next().await {
        let FleetTenant { id, slug, .. } = tenant;
        let text = match outcome {
            Outcome::Current => "up to date".to_owned(),
            Outcome::Migrated { from, to } => format!("{from} → {to}"),
            Outcome::Failed(error) => format!("FAILED: {error}"),
        };
        writeln!(out, "{done}/{of} {id} {slug}: {text}")?;
    }
    let report = run.finish().await;
    let (unchanged, failed) = (report.skipped + report.current, report.failed.len());
    writeln!(out, "{} migrated, {unchanged} unchanged, {failed} failed", report.migrated)?;
    Ok(report.into_result()?)
}

async fn status(store: &dyn Store, tenants: &Tenants, out: &mut (dyn Write + Send)) -> Outcomes {
    let mut unread = 0;
    for FleetStatus { tenant: FleetTenant { id, slug, .. }, state } in store.fleet().status(tenants).await? {
        match state {
            Ok(state) => {
                let served = if state.current { "served" } else { "not served" };
                let (applied, newest, pending) = (state.applied, state.newest, state.pending);
                writeln!(out, "{id} {slug}: version {applied} of {newest}, {pending} pending, {served}")?;
                for drift in state.drift {
                    writeln!(out, "  drift: {drift}")?;
                }
            }
            Err(error) => {
                unread += 1;
                writeln!(out, "{id} {slug}: cannot be read: {error}")?;
            }
        }
    }
    if unread == 0 { Ok(()) } else { Err(format!("tenants that could not be read: {unread}").into()) }
}

async fn history(store: &dyn Store, tenants: &Tenants, out: &mut (dyn Write + Send)) -> Outcomes {
    for FleetStatus { tenant: FleetTenant { id, slug, .. }, .. } in store.fleet().status(tenants).await? {
        writeln!(out, "{id} {slug}:")?;
        for entry in store.fleet().history(id).await? {
            let (at, took) = (entry.applied_at.format("%Y-%m-%d %H:%M:%S UTC"), entry.duration.as_millis());
            let drift = entry.drift.map_or_else(String::new, |kind| format!(", drifted: {kind:?}"));
            writeln!(out, "  {} {} at {at}, in {took} ms{drift}", entry.version, entry.description)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use multitenancy::{Tenant, sqlx::SqliteStore, tenant::TenantStatus};
    use multitenancy_testkit::fixtures;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    async fn output(store: &dyn Store, line: &[&str]) -> (String, Option<String>) {
        let line = Line::parse_from([&["migrate"], line].concat());
        let mut out = Vec::new();
        let outcome = run(store, &line.arguments, &mut out).await;
        (String::from_utf8(out).unwrap(), outcome.err().map(|error| error.to_string()))
    }

    /// A failure shows in the tenant's line and in the exit code.
    #[tokio::test]
    async fn migrate_prints_a_line_per_tenant() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().display());
        let store = SqliteStore::builder(&url).connect().await.unwrap();
        let acme = fixtures::provisioned(&store, "acme").await;

        let summary = |text: &str| (format!("{text}\n"), None);
        assert_eq!(output(&store, &["up"]).await, summary("0 migrated, 1 unchanged, 0 failed"));
        let line = format!("{} acme: version 0 of 0, 0 pending, served", acme.id);
        assert_eq!(output(&store, &["status"]).await, summary(&line));
        assert_eq!(output(&store, &["status", "--tenant", "acme"]).await, summary(&line));
        assert_eq!(output(&store, &["status", "--tenant", &acme.id.to_string()]).await, summary(&line));
        assert_eq!(
            output(&store, &["history", "--tenant", "acme"]).await,
            summary(&format!("{} acme:", acme.id))
        );
        for command in [&["down"][..], &["to", "0"]] {
            assert_eq!(output(&store, command).await, summary("0 migrated, 1 unchanged, 0 failed"));
        }
        let unknown = Some("this organization does not exist".to_owned());
        assert_eq!(output(&store, &["up", "--tenant", "nobody"]).await, (String::new(), unknown));
        assert!(output(&store, &["to", "7"]).await.1.unwrap().contains("no migration 7"));

        // A tenant without storage.
        let lost = Tenant { status: TenantStatus::Active, ..fixtures::tenant(&store, "lost") };
        fixtures::register(&store, &lost).await;
        let (out, error) = output(&store, &["up"]).await;
        assert_eq!(
            out,
            format!(
                "1/1 {} lost: FAILED: this organization has no storage\n0 migrated, 1 unchanged, 1 failed\n",
                lost.id
            )
        );
        assert_eq!(error.unwrap(), format!("1 of 1 tenants could not be migrated: {}", lost.id));
        assert_eq!(output(&store, &["status"]).await.1.unwrap(), "tenants that could not be read: 1");
    }
}
