use tracing::Instrument;

use super::{Organizations, provision};
use crate::{
    access::{Caller, live_user},
    audit::Action,
    error::{Error, Result, both},
    id::{SessionId, TenantId, UserId},
    store::{Store, UnitOfWorkExt},
    tenant::{
        ControlContext, Isolation, Membership, Plan, Slug, Tenant, TenantName, TenantSettings, TenantStatus,
    },
};

/// An organization that somebody wants.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// What people call it.
    pub name: TenantName,
    /// Its name in addresses; derived from the name when absent.
    pub slug: Option<Slug>,
    /// How its data is kept apart; the store's default when absent.
    pub isolation: Option<Isolation>,
}

impl Organizations {
    /// Creates an organization that the caller, a user of the platform, owns: registry row, storage, tenant
    /// migrations, owner, active, `tenant.created`.
    ///
    /// It goes on when the caller goes away, and is completely there or not at all: what a failure has left is undone
    /// at once, what a crash has left is finished at the next start (S116).
    ///
    /// 409 `slug_taken`, 422 `slug_reserved`, or `slug_required` when none can be made from the name, 403 `wrong_scope`.
    pub async fn create(&self, caller: &Caller, new: NewOrganization) -> Result<Tenant> {
        let control = caller.control_context()?.clone();
        let tenant = self.new_tenant(caller.user_id(), new)?;
        let (store, session) = (self.access.store().clone(), caller.session_id());
        let creations = self.creations.clone();
        let creation = async move {
            let _turn = creations.acquire_owned().await.map_err(Error::internal)?;
            register(&*store, &control, session, &tenant).await?;
            provision::finish_or_undo(&*store, &tenant).await
        };
        tokio::spawn(creation.in_current_span()).await.map_err(Error::internal)?
    }

    fn new_tenant(&self, owner_id: UserId, new: NewOrganization) -> Result<Tenant> {
        let slug = match new.slug {
            Some(slug) => slug.require_unreserved().map(|()| slug),
            None => Slug::derive(&new.name),
        };
        let (slug, isolation) = both(slug, self.isolation(new.isolation))?;
        let environment = self.access.environment();
        let now = environment.now();
        Ok(Tenant {
            id: TenantId::generate(environment),
            name: new.name,
            slug,
            domain: None,
            plan: Plan::default(),
            status: TenantStatus::Provisioning,
            isolation,
            owner_id,
            settings: TenantSettings::default(),
            created_at: now,
            updated_at: now,
        })
    }

    fn isolation(&self, wanted: Option<Isolation>) -> Result<Isolation> {
        let known = self.access.store().isolations();
        match wanted {
            Some(isolation) if known.contains(&isolation) => Ok(isolation),
            Some(_) => {
                let names: Vec<_> = known.iter().map(|isolation| isolation.as_str()).collect();
                let message = format!("must be one of: {}", names.join(", "));
                Err(Error::invalid_field("isolation", "isolation_unsupported", message))
            }
            None => known.first().copied().ok_or_else(|| Error::config("the store has no isolation")),
        }
    }
}

async fn register(
    store: &dyn Store,
    context: &ControlContext,
    session: SessionId,
    tenant: &Tenant,
) -> Result<()> {
    let mut unit = store.control(context).await?;
    live_user(&mut *unit, session, tenant.owner_id).await?;
    unit.tenants().insert(tenant).await?;
    let membership =
        Membership { tenant_id: tenant.id, user_id: tenant.owner_id, created_at: tenant.created_at };
    unit.memberships().insert(&membership).await?;
    unit.record(Action::new("tenant.registered", "tenant", tenant.id).detail("slug", tenant.slug.as_str()))
        .await?;
    unit.commit().await
}
