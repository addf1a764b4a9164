//! Runs over many tenants, and the registry's record of each tenant's last schema.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use multitenancy_core::{
    ControlContext, Error, Result, TenantId, UnitOfWork,
    store::fleet::{
        AppliedMigration, Fleet, FleetOptions, FleetRun, FleetStatus, FleetTenant, Target, Tenants,
    },
    tenant::not_found,
};
use uuid::Uuid;

use super::{Engine, codec::stored, error::store_error, storage::Worker};

/// A tenant, and the schema that its storage was last migrated to.
type Recorded = (FleetTenant, Option<String>);

/// A suffix: the tenant's storage is being migrated away from this schema.
const LEAVING: &str = " leaving";

#[async_trait]
impl Fleet for Engine {
    async fn migrate_all(&self, options: &FleetOptions) -> Result<FleetRun> {
        let migrations = &self.tenant_schema().migrations;
        if let Target::Version(version) = options.target {
            migrations.fingerprint_at(version)?;
        }
        self.migrate_control().await?;
        let recorded = self.recorded().await?;
        let all: Vec<_> = recorded.iter().map(|(tenant, _)| tenant.clone()).collect();
        let chosen = options.tenants.choose(all.clone())?;
        let fingerprint = |tenant: &FleetTenant| {
            let index = recorded.binary_search_by_key(&tenant.id, |(tenant, _)| tenant.id).ok()?;
            recorded[index].1.as_deref()
        };
        let version = match options.target {
            Target::Newest => migrations.newest(),
            Target::Version(version) => version,
            Target::Previous => {
                let mut highest = 0;
                for tenant in &chosen {
                    let known = fingerprint(tenant)
                        .and_then(|known| migrations.version_of(known.trim_end_matches(LEAVING)));
                    // One step down from an unknown version could go down to zero.
                    let known = known.ok_or_else(|| {
                        Error::config(format!(
                            "where {} is, is not known: name the version, or migrate it up first",
                            tenant.slug
                        ))
                    })?;
                    highest = highest.max(known);
                }
                migrations.before(highest)
            }
        };
        let goal = migrations.fingerprint_at(version)?;
        let (there, others): (Vec<_>, Vec<_>) =
            chosen.into_iter().partition(|tenant| fingerprint(tenant) == Some(goal));
        if !others.is_empty() {
            self.leave(&others, &recorded).await?;
        }
        let groups = self.groups(&all, others, &options.tenants, version).await?;
        let at_once = options.at_once.min(self.budget()).clamp(1, groups.len().max(1));
        let workers = (0..at_once).map(|_| Worker::new(self.clone(), version)).collect();
        Ok(FleetRun::start(there.len(), groups, workers))
    }

    async fn status(&self, tenants: &Tenants) -> Result<Vec<FleetStatus>> {
        let migrations = &self.tenant_schema().migrations;
        let all = self.recorded().await?.into_iter().map(|(tenant, _)| tenant).collect();
        let mut reader = Worker::new(self.clone(), migrations.newest());
        let mut found = Vec::new();
        for tenant in tenants.choose(all)? {
            let state =
                reader.look(&tenant).await.map(|(marker, applied)| migrations.state(&applied, &marker));
            found.push(FleetStatus { tenant, state });
        }
        reader.close().await;
        Ok(found)
    }

    async fn history(&self, tenant: TenantId) -> Result<Vec<AppliedMigration>> {
        let migrations = &self.tenant_schema().migrations;
        let all = self.recorded().await?;
        let (tenant, _) = all.into_iter().find(|(known, _)| known.id == tenant).ok_or_else(not_found)?;
        let mut reader = Worker::new(self.clone(), migrations.newest());
        let (_, applied) = reader.look(&tenant).await?;
        reader.close().await;
        Ok(migrations.history(&applied))
    }
}

impl Engine {
    /// All tenants except those under provisioning and canceled ones, ordered by id, each with the schema that its
    /// storage was last migrated to.
    async fn recorded(&self) -> Result<Vec<Recorded>> {
        let mut unit = self.read_control(&ControlContext::system("migration")).await?;
        let rows: Vec<(Uuid, String, String, Option<String>)> = sqlx::query_as(
            "SELECT id, slug, isolation, fingerprint FROM multitenancy_tenants \
             LEFT JOIN multitenancy_tenant_schemas ON tenant_id = id \
             WHERE status IN ('active', 'suspended') ORDER BY id",
        )
        .fetch_all(unit.conn())
        .await
        .map_err(store_error)?;
        let read = |(id, slug, isolation, fingerprint): (Uuid, String, String, Option<String>)| {
            let id = TenantId::from_uuid(id);
            Ok((FleetTenant { id, slug: slug.parse()?, isolation: isolation.parse()? }, fingerprint))
        };
        rows.into_iter().map(read).collect()
    }

    /// Records that the storage of these tenants was migrated to `fingerprint`.
    pub(crate) async fn record(&self, tenants: &[TenantId], fingerprint: &str) -> Result<()> {
        let mut unit = self.control(&ControlContext::system("migration")).await?;
        let now = stored(unit.environment().now());
        for tenant in tenants {
            sqlx::query(
                "INSERT INTO multitenancy_tenant_schemas (tenant_id, fingerprint, migrated_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (tenant_id) DO UPDATE SET fingerprint = $2, migrated_at = $3",
            )
            .bind(tenant.as_uuid())
            .bind(fingerprint)
            .bind(now)
            .execute(unit.conn())
            .await
            .map_err(store_error)?;
            unit.tenant_changed(*tenant);
        }
        unit.commit().await
    }

    /// Records, before any storage changes, that these tenants (those in `recorded`) are being migrated: a run that
    /// ends early leaves no record of a schema that may be wrong. The schema of origin is kept, so that one step down
    /// remains one step when the run is repeated.
    async fn leave(&self, leaving: &[FleetTenant], recorded: &[Recorded]) -> Result<()> {
        let leaving: BTreeSet<_> = leaving.iter().map(|tenant| tenant.id).collect();
        let mut schemas: BTreeMap<&str, (Vec<TenantId>, bool)> = BTreeMap::new();
        for one in recorded {
            let Some(known) = one.1.as_deref().filter(|known| !known.ends_with(LEAVING)) else { continue };
            let (tenants, all) = schemas.entry(known).or_insert_with(|| (Vec::new(), true));
            if leaving.contains(&one.0.id) {
                tenants.push(one.0.id);
            } else {
                *all = false;
            }
        }
        let mut unit = self.control(&ControlContext::system("migration")).await?;
        for (known, (tenants, all)) in schemas {
            let away = format!("{known}{LEAVING}");
            if all {
                let sql = "UPDATE multitenancy_tenant_schemas SET fingerprint = $2 WHERE fingerprint = $1";
                let update = sqlx::query(sql).bind(known).bind(away);
                update.execute(unit.conn()).await.map_err(store_error)?;
                continue;
            }
            for tenant in tenants {
                let sql = "UPDATE multitenancy_tenant_schemas SET fingerprint = $3 WHERE fingerprint = $1 AND tenant_id = $2";
                let update = sqlx::query(sql).bind(known).bind(tenant.as_uuid()).bind(&away);
                update.execute(unit.conn()).await.map_err(store_error)?;
            }
        }
        unit.commit().await
    }

    /// Removes the record if it says `fingerprint`: the storage turned out to be at another schema, for example after
    /// a restore from a backup. So the next migration checks it.
    pub(crate) async fn note_outdated(&self, tenant: TenantId, fingerprint: &str) {
        let noted = async {
            let mut unit = self.control(&ControlContext::system("migration")).await?;
            sqlx::query("DELETE FROM multitenancy_tenant_schemas WHERE tenant_id = $1 AND fingerprint = $2")
                .bind(tenant.as_uuid())
                .bind(fingerprint)
                .execute(unit.conn())
                .await
                .map_err(store_error)?;
            unit.commit().await
        };
        if let Err(error) = noted.await {
            tracing::warn!(%tenant, error = ?error, "an outdated tenant could not be noted");
        }
    }
}
