//! From a registered tenant to an active one. Each step can be done again, so what a crash interrupts is done
//! again from the first. Two may be at it: a process that starts takes what another is still making for interrupted.

use std::sync::Arc;

use super::Organizations;
use crate::{
    audit::Action,
    environment::Timestamp,
    error::{Error, Result, code},
    id::{TenantId, UserId},
    page::PageRequest,
    store::{Store, UnitOfWorkExt, change_status},
    tenant::{ControlContext, Tenant, TenantContext, TenantCreated, TenantStatus},
    user::{Role, User, UserCreated},
};

const REASON: &str = "provisioning";

impl Organizations {
    /// Finishes, or else undoes, what processes before this one have left half made. Part of the background work;
    /// call it by hand where that is switched off.
    ///
    /// Returns how many organizations were finished or undone.
    pub async fn resume(&self) -> Result<usize> {
        resume(&**self.access.store(), self.started_at).await
    }
}

/// See [`Organizations::resume`]. What was registered after `before` belongs to a request that is still
/// running.
pub(crate) async fn resume(store: &dyn Store, before: Timestamp) -> Result<usize> {
    let mut resumed = 0;
    let mut page = PageRequest::<TenantId>::first(PageRequest::<TenantId>::MAX_SIZE);
    loop {
        let mut unit = store.read_control(&ControlContext::system(REASON)).await?;
        let found = unit.tenants().list(Some(TenantStatus::Provisioning), &page).await?;
        drop(unit);
        for tenant in found.items.iter().filter(|tenant| tenant.created_at < before) {
            tracing::info!(tenant = %tenant.id, slug = %tenant.slug, "finishing an interrupted organization");
            // Undone or still there, its error is in the log, and the next one has its turn.
            let _reported = finish_or_undo(store, tenant).await;
            resumed += 1;
        }
        match found.next {
            Some(key) => page = page.after(key),
            None => return Ok(resumed),
        }
    }
}

/// Takes a registered tenant to `active`; when that fails, takes it back.
pub(super) async fn finish_or_undo(store: &dyn Store, tenant: &Tenant) -> Result<Tenant> {
    match finish(store, tenant).await {
        Ok(tenant) => Ok(tenant),
        Err(error) => {
            tracing::error!(tenant = %tenant.id, error = ?error, "organization could not be made: undoing it");
            if let Err(error) = undo(store, tenant).await {
                tracing::error!(tenant = %tenant.id, error = ?error, "left for the next start to finish or undo");
            }
            Err(error)
        }
    }
}

async fn finish(store: &dyn Store, tenant: &Tenant) -> Result<Tenant> {
    store.provision(tenant).await?;
    add_owner(store, tenant).await?;
    activate(store, tenant).await
}

/// Writes the owner into the tenant, without a password: they enter by switching from the platform.
async fn add_owner(store: &dyn Store, tenant: &Tenant) -> Result<()> {
    let mut unit = store.read_control(&ControlContext::system(REASON)).await?;
    let owner = unit.users().find(tenant.owner_id).await?;
    drop(unit);
    let owner = owner.ok_or_else(|| Error::of(code::OWNER_NOT_FOUND))?;

    let context = TenantContext::internal(Arc::new(tenant.clone()), REASON);
    let mut unit = store.begin(&context).await?;
    if unit.users().find_by_platform_user(owner.id).await?.is_some() {
        return Ok(());
    }
    let environment = store.environment();
    let id = UserId::generate(environment);
    let user = User {
        profile: owner.profile,
        is_owner: true,
        email_verified: owner.email_verified,
        platform_user_id: Some(owner.id),
        ..User::new(id, owner.email, vec![Role::OWNER], environment.now())
    };
    if let Err(error) = unit.users().insert(&user, None).await {
        drop(unit);
        let mut unit = store.read(&context).await?;
        return match unit.users().find_by_platform_user(owner.id).await? {
            Some(_) => Ok(()),
            None => Err(error),
        };
    }
    unit.publish(UserCreated { user_id: id, platform_user_id: Some(owner.id) }).await?;
    unit.record(Action::new("user.created", "user", id).detail("platform_user_id", owner.id.to_string()))
        .await?;
    unit.commit().await
}

async fn activate(store: &dyn Store, tenant: &Tenant) -> Result<Tenant> {
    let now = store.environment().now();
    let status = tenant.status.transition(TenantStatus::Active)?;
    let mut unit = store.control(&ControlContext::system(REASON)).await?;
    let Some(changed) = change_status(store, &mut *unit, tenant, status, now).await? else {
        match unit.tenants().find(&tenant.id.into()).await? {
            Some(found) if found.status == status => return Ok(found),
            _ => {}
        }
        return Err(Error::of(code::INVALID_TRANSITION).with_context("tenant", tenant.id));
    };
    unit.publish(TenantCreated::from(tenant)).await?;
    unit.record(Action::new("tenant.created", "tenant", tenant.id)).await?;
    changed.commit(store, unit).await
}

/// Takes back a registration, storage first: a crash in between leaves a row for the next start to find, never
/// storage that nobody knows of. Nothing is removed of a tenant that has become active after all; of one that is gone,
/// because another start has undone it meanwhile, the storage that was made here since.
async fn undo(store: &dyn Store, tenant: &Tenant) -> Result<()> {
    let mut unit = store.control(&ControlContext::system(REASON)).await?;
    let withdrawn = unit.tenants().withdraw(tenant.id).await?;
    if withdrawn || unit.tenants().find(&tenant.id.into()).await?.is_none() {
        store.deprovision(tenant).await?;
        unit.record(Action::new("tenant.withdrawn", "tenant", tenant.id)).await?;
        unit.commit().await?;
    }
    Ok(())
}
