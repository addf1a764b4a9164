use async_trait::async_trait;
use multitenancy_core::{
    AuditId, ControlTransaction, EventId, Result, SessionId, Tenant, TenantId, Timestamp, UnitOfWork, User,
    UserId,
    audit::{AuditLog, AuditRecord},
    auth::{PasswordHash, Session, SessionRepository},
    event::{Claim, ConsumedEvents, Envelope, LeaseId, Outbox},
    page::{Page, PageRequest},
    secret::TokenDigest,
    tenant::{Membership, MembershipRepository, StatusChange, TenantKey, TenantRepository, TenantStatus},
    user::{Email, UserRepository},
};

use super::{around, unit::ProbedUnit};

/// Passes the methods of one repository on, each with its probe.
macro_rules! probed {
    ($unit:ident: $repository:ident, $accessor:ident, $name:literal {
        $($method:ident($($argument:ident: $type:ty),*) -> $output:ty;)*
    }) => {
        #[async_trait]
        impl<U: $unit + ?Sized> $repository for ProbedUnit<U> {
            $(async fn $method(&mut self, $($argument: $type),*) -> Result<$output> {
                self.note(concat!($name, ".", stringify!($method)));
                let plane = Some(self.inner.plane());
                let call = self.inner.$accessor().$method($($argument),*);
                around(&*self.probe, concat!($name, ".", stringify!($method)), plane, call).await
            })*
        }
    };
}

probed! { UnitOfWork: UserRepository, users, "users" {
    insert(user: &User, password: Option<&PasswordHash>) -> ();
    find(id: UserId) -> Option<User>;
    find_by_email(email: &Email) -> Option<User>;
    find_by_platform_user(platform_user: UserId) -> Option<User>;
    find_for_update(id: UserId) -> Option<User>;
    update(user: &User) -> bool;
    password_hash(id: UserId) -> Option<PasswordHash>;
    set_password_hash(id: UserId, password: &PasswordHash) -> bool;
    record_login(id: UserId, at: Timestamp) -> bool;
} }

probed! { UnitOfWork: SessionRepository, sessions, "sessions" {
    insert(session: &Session, refresh: &TokenDigest) -> ();
    find(id: SessionId) -> Option<Session>;
    rotate(spent: &TokenDigest, successor: &TokenDigest, now: Timestamp) -> Option<Session>;
    revoke(id: SessionId, at: Timestamp) -> bool;
} }

probed! { UnitOfWork: Outbox, outbox, "outbox" {
    append(event: &Envelope) -> ();
    claim(lease: LeaseId, now: Timestamp, until: Timestamp, limit: u32) -> Claim;
    delivered(lease: LeaseId, event: EventId) -> bool;
    retry(lease: LeaseId, event: EventId, not_before: Timestamp, error: &str) -> bool;
    park(lease: LeaseId, event: EventId, at: Timestamp, error: &str) -> bool;
    pending() -> u64;
    parked(limit: u32) -> Vec<Envelope>;
} }

probed! { UnitOfWork: AuditLog, audit, "audit" {
    append(record: &AuditRecord) -> ();
    list(page: &PageRequest<AuditId>) -> Page<AuditRecord, AuditId>;
} }

probed! { UnitOfWork: ConsumedEvents, consumed, "consumed" {
    record(consumer: &str, event: EventId) -> bool;
    contains(consumer: &str, event: EventId) -> bool;
} }

probed! { ControlTransaction: TenantRepository, tenants, "tenants" {
    insert(tenant: &Tenant) -> ();
    find(key: &TenantKey) -> Option<Tenant>;
    set_status(change: &StatusChange) -> bool;
    withdraw(id: TenantId) -> bool;
    list(status: Option<TenantStatus>, page: &PageRequest<TenantId>) -> Page<Tenant, TenantId>;
} }

probed! { ControlTransaction: MembershipRepository, memberships, "memberships" {
    insert(membership: &Membership) -> ();
    find(tenant: TenantId, user: UserId) -> Option<Membership>;
    remove(tenant: TenantId, user: UserId) -> ();
    list(user: UserId, page: &PageRequest<TenantId>) -> Page<Membership, TenantId>;
} }
