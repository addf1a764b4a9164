use async_trait::async_trait;

use super::{Tenant, TenantKey, TenantStatus};
use crate::{
    environment::Timestamp,
    error::{Error, Result, code},
    id::{TenantId, UserId},
    page::{Page, PageRequest},
};

/// The registry of tenants, on the control plane.
#[async_trait]
pub trait TenantRepository: Send {
    /// Registers a tenant.
    ///
    /// 1. A taken slug is [`Conflict`](crate::ErrorKind::Conflict) `slug_taken`; a taken domain `domain_taken`.
    /// 2. The row is visible to later units once this one commits.
    async fn insert(&mut self, tenant: &Tenant) -> Result<()>;

    /// Finds a tenant of any status.
    ///
    /// 1. `None` when there is none.
    /// 2. Slugs and domains match exactly.
    async fn find(&mut self, key: &TenantKey) -> Result<Option<Tenant>>;

    /// Moves a tenant from one status to another. Called by [`change_status`](crate::store::change_status).
    ///
    /// 1. `false`, and nothing happens, when the stored status is not [`from`](StatusChange::from): a compare-and-set.
    /// 2. On commit the change is [signalled](crate::store::Signals::tenant_changed).
    /// 3. When a commit that [closes](TenantStatus::is_closed) the tenant has returned, nothing that is written inside it
    ///    commits any more, also in units that began before: [`Forbidden`](crate::ErrorKind::Forbidden) `tenant_inactive` (S117).
    ///    Except where the context has the tenant as closed: whoever made that one knows.
    /// 4. When a commit that makes it active again has returned, they commit again.
    async fn set_status(&mut self, change: &StatusChange) -> Result<bool>;

    /// Takes back the registration of a tenant that never became active.
    ///
    /// 1. `false`, and nothing happens, unless the stored status is
    ///    [`Provisioning`](TenantStatus::Provisioning).
    /// 2. Its memberships go with it, and its slug is free again.
    async fn withdraw(&mut self, id: TenantId) -> Result<bool>;

    /// Lists tenants in the order of their ids, of one status or of all.
    async fn list(
        &mut self,
        status: Option<TenantStatus>,
        page: &PageRequest<TenantId>,
    ) -> Result<Page<Tenant, TenantId>>;
}

/// A tenant's move from one status to another. Only [`change_status`](crate::store::change_status) makes one, so no status
/// changes without its fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange {
    pub(crate) tenant: TenantId,
    pub(crate) from: TenantStatus,
    pub(crate) to: TenantStatus,
    pub(crate) at: Timestamp,
}

impl StatusChange {
    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The status that it has.
    pub fn from(&self) -> TenantStatus {
        self.from
    }

    /// The status that it is to have.
    pub fn to(&self) -> TenantStatus {
        self.to
    }

    /// When its row changes.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// That a platform user belongs to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The platform user.
    pub user_id: UserId,
    /// Since when.
    pub created_at: Timestamp,
}

/// Which platform users belong to which tenants, on the control plane.
#[async_trait]
pub trait MembershipRepository: Send {
    /// Records a membership.
    ///
    /// 1. Recording one that is there succeeds and keeps the old one.
    async fn insert(&mut self, membership: &Membership) -> Result<()>;

    /// Finds the membership of a user in a tenant.
    ///
    /// 1. `None` when there is none.
    async fn find(&mut self, tenant: TenantId, user: UserId) -> Result<Option<Membership>>;

    /// Ends a membership.
    ///
    /// 1. Ending one that is not there succeeds.
    async fn remove(&mut self, tenant: TenantId, user: UserId) -> Result<()>;

    /// The tenants a user belongs to, in the order of their ids.
    async fn list(
        &mut self,
        user: UserId,
        page: &PageRequest<TenantId>,
    ) -> Result<Page<Membership, TenantId>>;
}

/// The error for work in a tenant that is not active, or not any more: 403 `tenant_inactive`.
pub fn tenant_inactive(id: TenantId) -> Error {
    Error::of(code::TENANT_INACTIVE).with_context("tenant", id)
}

/// The error for a slug that another tenant has: 409 `slug_taken`.
pub fn slug_taken() -> Error {
    Error::of(code::SLUG_TAKEN)
}

/// The error for a domain that another tenant has: 409 `domain_taken`.
pub fn domain_taken() -> Error {
    Error::of(code::DOMAIN_TAKEN)
}
