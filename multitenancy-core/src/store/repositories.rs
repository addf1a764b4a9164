//! The one list of repositories. What is made of it: the methods of [`UnitOfWork`](super::UnitOfWork) and of both
//! transactions, every adapter's implementations of them, and the interceptors of `multitenancy-testkit`.

/// The repositories and every type in the signatures of their methods: what the list names.
pub mod ports {
    pub use crate::{
        audit::{AuditLog, AuditRecord},
        auth::{PasswordHash, Session, SessionRepository},
        environment::Timestamp,
        event::{Claim, ConsumedEvents, Envelope, LeaseId, Outbox},
        id::{AuditId, EventId, SessionId, TenantId, UserId},
        page::{Page, PageRequest},
        secret::TokenDigest,
        tenant::{
            Membership, MembershipRepository, StatusChange, Tenant, TenantKey, TenantRepository, TenantStatus,
        },
        user::{Email, User, UserRepository},
    };
}

/// Hands the repositories of a trait to the macro `$then`, after the tokens of `$with`.
///
/// `each_repository!(UnitOfWork [path::to::macro] tokens)` is `path::to::macro! { tokens list }`, where the list has for
/// each repository its documentation, its accessor, its port, and its methods without `&mut self` and `Result`. The types are
/// those of [`store::ports`](crate::store::ports).
#[macro_export]
macro_rules! each_repository {
    // On both planes.
    (UnitOfWork [$($then:tt)*] $($with:tt)*) => { $($then)*! { $($with)*
        /// The plane's users.
        users: UserRepository {
            insert(user: &User, password: Option<&PasswordHash>) -> ();
            find(id: UserId) -> Option<User>;
            find_by_email(email: &Email) -> Option<User>;
            find_by_platform_user(platform_user: UserId) -> Option<User>;
            find_for_update(id: UserId) -> Option<User>;
            update(user: &User) -> bool;
            password_hash(id: UserId) -> Option<PasswordHash>;
            set_password_hash(id: UserId, password: &PasswordHash) -> bool;
            record_login(id: UserId, at: Timestamp) -> bool;
        }
        /// The plane's sessions.
        sessions: SessionRepository {
            insert(session: &Session, refresh: &TokenDigest) -> ();
            find(id: SessionId) -> Option<Session>;
            rotate(spent: &TokenDigest, successor: &TokenDigest, now: Timestamp) -> Option<Session>;
            revoke(id: SessionId, at: Timestamp) -> bool;
        }
        /// The plane's undelivered events.
        outbox: Outbox {
            append(event: &Envelope) -> ();
            claim(lease: LeaseId, now: Timestamp, until: Timestamp, limit: u32) -> Claim;
            delivered(lease: LeaseId, event: EventId) -> bool;
            retry(lease: LeaseId, event: EventId, not_before: Timestamp, error: &str) -> bool;
            park(lease: LeaseId, event: EventId, at: Timestamp, error: &str) -> bool;
            pending() -> u64;
            parked(limit: u32) -> Vec<Envelope>;
        }
        /// The plane's audit log.
        audit: AuditLog {
            append(record: &AuditRecord) -> ();
            list(page: &PageRequest<AuditId>) -> Page<AuditRecord, AuditId>;
        }
        /// Which events have been dealt with.
        consumed: ConsumedEvents {
            record(consumer: &str, event: EventId) -> bool;
            contains(consumer: &str, event: EventId) -> bool;
        }
    } };
    // On the control plane alone.
    (ControlTransaction [$($then:tt)*] $($with:tt)*) => { $($then)*! { $($with)*
        /// The registry of tenants.
        tenants: TenantRepository {
            insert(tenant: &Tenant) -> ();
            find(key: &TenantKey) -> Option<Tenant>;
            set_status(change: &StatusChange) -> bool;
            withdraw(id: TenantId) -> bool;
            list(status: Option<TenantStatus>, page: &PageRequest<TenantId>) -> Page<Tenant, TenantId>;
        }
        /// Which platform users belong to which tenants.
        memberships: MembershipRepository {
            insert(membership: &Membership) -> ();
            find(tenant: TenantId, user: UserId) -> Option<Membership>;
            remove(tenant: TenantId, user: UserId) -> ();
            list(user: UserId, page: &PageRequest<TenantId>) -> Page<Membership, TenantId>;
        }
    } };
    // Inside a tenant alone: none yet.
    (TenantTransaction [$($then:tt)*] $($with:tt)*) => { $($then)*! { $($with)* } };
}

/// The accessors of a trait's repositories, inside an `impl` of it: `users()`, `sessions()` and so on.
///
/// - `repositories!(UnitOfWork in self)`: the type implements the repositories itself.
/// - `repositories!(UnitOfWork in self.unit)`: a field of it does.
/// - `repositories!(UnitOfWork of self.inner)`: a field is another unit of work, which has them.
///
/// The same for `ControlTransaction` and `TenantTransaction`.
#[macro_export]
macro_rules! repositories {
    ($unit:ident) => {
        $crate::each_repository! { $unit [$crate::__accessors] declare }
    };
    ($unit:ident in self) => {
        $crate::each_repository! { $unit [$crate::__accessors] own }
    };
    ($unit:ident in self.$field:ident) => {
        $crate::each_repository! { $unit [$crate::__accessors] field $field }
    };
    ($unit:ident of self.$inner:ident) => {
        $crate::each_repository! { $unit [$crate::__accessors] forward $inner }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __accessors {
    (declare $($(#[$doc:meta])* $accessor:ident: $port:ident { $($methods:tt)* })*) => {
        $($(#[$doc])* fn $accessor(&mut self) -> &mut dyn $crate::store::ports::$port;)*
    };
    (own $($(#[$doc:meta])* $accessor:ident: $port:ident { $($methods:tt)* })*) => {
        $(fn $accessor(&mut self) -> &mut dyn $crate::store::ports::$port {
            self
        })*
    };
    (field $field:ident $($(#[$doc:meta])* $accessor:ident: $port:ident { $($methods:tt)* })*) => {
        $(fn $accessor(&mut self) -> &mut dyn $crate::store::ports::$port {
            &mut self.$field
        })*
    };
    (forward $inner:ident $($(#[$doc:meta])* $accessor:ident: $port:ident { $($methods:tt)* })*) => {
        $(fn $accessor(&mut self) -> &mut dyn $crate::store::ports::$port {
            self.$inner.$accessor()
        })*
    };
}
