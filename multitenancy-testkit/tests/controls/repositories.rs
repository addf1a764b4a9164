use std::sync::atomic::Ordering;

use async_trait::async_trait;
use chrono::SubsecRound;
use multitenancy_core::{
    AuditId, ControlContext, ControlTransaction, EventId, Plane, Result, SessionId, Tenant, TenantContext,
    TenantId, TenantTransaction, Timestamp, UnitOfWork, User, UserId,
    audit::{AuditLog, AuditRecord},
    auth::{PasswordHash, Session, SessionRepository},
    event::{Aggregate, Claim, ConsumedEvents, Envelope, LeaseId, Outbox},
    page::{Page, PageRequest},
    repositories,
    secret::TokenDigest,
    store::change_status,
    tenant::{Membership, MembershipRepository, StatusChange, TenantKey, TenantRepository, TenantStatus},
    user::{Email, UserRepository},
};

use crate::broken::{BrokenUnit, Fault};

/// One repository: the methods that pass on, after those that are written out because a fault is in them.
macro_rules! passes_on {
    ($unit:ident: $repository:ident, $accessor:ident {
        $($method:ident($($argument:ident: $type:ty),*) -> $output:ty;)*
    } $($broken:tt)*) => {
        #[async_trait]
        impl<U: $unit + ?Sized + 'static> $repository for BrokenUnit<U> {
            $(async fn $method(&mut self, $($argument: $type),*) -> Result<$output> {
                self.inner().$accessor().$method($($argument),*).await
            })*

            $($broken)*
        }
    };
}

passes_on! { UnitOfWork: UserRepository, users {
    find_by_platform_user(platform_user: UserId) -> Option<User>;
    find_for_update(id: UserId) -> Option<User>;
    update(user: &User) -> bool;
    password_hash(id: UserId) -> Option<PasswordHash>;
    set_password_hash(id: UserId, password: &PasswordHash) -> bool;
    record_login(id: UserId, at: Timestamp) -> bool;
}
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<()> {
        self.memory.first_user.lock().unwrap().get_or_insert_with(|| user.clone());
        self.inner().users().insert(user, password).await
    }

    async fn find(&mut self, id: UserId) -> Result<Option<User>> {
        let found = self.inner().users().find(id).await?;
        match self.fault {
            Fault::CutsInstants => Ok(found.map(|user| User { updated_at: user.updated_at.trunc_subsecs(3), ..user })),
            Fault::SeesThePlatform if found.is_none() && self.plane() != Plane::Control => {
                let mut unit = self.store.read_control(&ControlContext::system("test")).await?;
                unit.users().find(id).await
            }
            Fault::ReadsAreLive => match self.live().await? {
                Some(mut unit) => unit.users().find(id).await,
                None => Ok(found),
            },
            _ => Ok(found),
        }
    }

    async fn find_by_email(&mut self, email: &Email) -> Result<Option<User>> {
        let found = self.inner().users().find_by_email(email).await?;
        if self.fault == Fault::FindsAnyAddress {
            return Ok(self.memory.first_user.lock().unwrap().clone());
        }
        Ok(found)
    }
}

impl<U: UnitOfWork + ?Sized + 'static> BrokenUnit<U> {
    /// A unit of now on the control plane, when this is one.
    async fn live(&mut self) -> Result<Option<Box<dyn ControlTransaction>>> {
        if self.plane() != Plane::Control {
            return Ok(None);
        }
        self.store.read_control(&ControlContext::system("test")).await.map(Some)
    }
}

passes_on! { UnitOfWork: SessionRepository, sessions {
    find(id: SessionId) -> Option<Session>;
    revoke(id: SessionId, at: Timestamp) -> bool;
}
    async fn insert(&mut self, session: &Session, refresh: &TokenDigest) -> Result<()> {
        self.memory.good_tokens.lock().unwrap().insert(*refresh, session.id);
        self.inner().sessions().insert(session, refresh).await
    }

    async fn rotate(&mut self, spent: &TokenDigest, successor: &TokenDigest, now: Timestamp) -> Result<Option<Session>> {
        let rotated = self.inner().sessions().rotate(spent, successor, now).await?;
        if self.fault != Fault::RotatesWhatItReadBefore {
            return Ok(rotated);
        }
        let Some(session) = self.good_tokens.remove(spent) else { return Ok(None) };
        self.rotated.push((*spent, *successor, session));
        self.inner().sessions().find(session).await
    }
}

passes_on! { UnitOfWork: Outbox, outbox {
    retry(lease: LeaseId, event: EventId, not_before: Timestamp, error: &str) -> bool;
    park(lease: LeaseId, event: EventId, at: Timestamp, error: &str) -> bool;
    pending() -> u64;
    parked(limit: u32) -> Vec<Envelope>;
}
    async fn append(&mut self, event: &Envelope) -> Result<()> {
        let mut event = event.clone();
        if self.fault == Fault::ClaimsPastHeldEvents {
            event.aggregate.id = format!("{}#{}", event.aggregate.id, event.event_id);
        }
        self.inner().outbox().append(&event).await
    }

    async fn claim(&mut self, lease: LeaseId, now: Timestamp, until: Timestamp, limit: u32) -> Result<Claim> {
        let mut claim = self.inner().outbox().claim(lease, now, until, limit).await?;
        for event in &mut claim.events {
            self.memory.holders.lock().unwrap().insert(event.envelope.event_id, lease);
            if self.fault == Fault::ClaimsPastHeldEvents {
                let Aggregate { kind, id } = event.envelope.aggregate.clone();
                let id = id.split('#').next().unwrap_or_default().to_owned();
                event.envelope.aggregate = Aggregate { kind, id };
            }
        }
        if self.fault == Fault::PollsByLastId {
            let last = self.memory.last_sequence.load(Ordering::Acquire);
            claim.events.retain(|event| event.envelope.sequence > last);
            let newest = claim.events.iter().map(|event| event.envelope.sequence).max();
            self.memory.last_sequence.fetch_max(newest.unwrap_or(0), Ordering::AcqRel);
        }
        Ok(claim)
    }

    async fn delivered(&mut self, lease: LeaseId, event: EventId) -> Result<bool> {
        let holder = self.memory.holders.lock().unwrap().get(&event).copied();
        let believed = if self.fault == Fault::ForgetsFencing { holder.unwrap_or(lease) } else { lease };
        self.inner().outbox().delivered(believed, event).await
    }
}

passes_on! { UnitOfWork: AuditLog, audit {
    append(record: &AuditRecord) -> ();
    list(page: &PageRequest<AuditId>) -> Page<AuditRecord, AuditId>;
} }

passes_on! { UnitOfWork: ConsumedEvents, consumed {
    contains(consumer: &str, event: EventId) -> bool;
}
    async fn record(&mut self, consumer: &str, event: EventId) -> Result<bool> {
        let first = self.inner().consumed().record(consumer, event).await?;
        Ok(first || self.fault == Fault::ConsumesAgain)
    }
}

passes_on! { ControlTransaction: TenantRepository, tenants {
    insert(tenant: &Tenant) -> ();
    find(key: &TenantKey) -> Option<Tenant>;
    withdraw(id: TenantId) -> bool;
}
    async fn set_status(&mut self, change: &StatusChange) -> Result<bool> {
        if self.fault == Fault::ComparesNoStatus
            && let Some(tenant) = self.inner().tenants().find(&change.tenant().into()).await?
        {
            let store = self.store.clone();
            let changed = change_status(&*store, self.inner(), &tenant, change.to(), change.at()).await?;
            return Ok(changed.is_some());
        }
        self.inner().tenants().set_status(change).await
    }

    async fn list(
        &mut self,
        status: Option<TenantStatus>,
        page: &PageRequest<TenantId>,
    ) -> Result<Page<Tenant, TenantId>> {
        let found = self.inner().tenants().list(status, page).await?;
        let next = found.next.filter(|_| self.fault != Fault::ListsOnePage);
        Ok(Page { next, ..found })
    }
}

passes_on! { ControlTransaction: MembershipRepository, memberships {
    insert(membership: &Membership) -> ();
    find(tenant: TenantId, user: UserId) -> Option<Membership>;
    remove(tenant: TenantId, user: UserId) -> ();
    list(user: UserId, page: &PageRequest<TenantId>) -> Page<Membership, TenantId>;
} }

impl<U: ControlTransaction + ?Sized + 'static> ControlTransaction for BrokenUnit<U> {
    repositories!(ControlTransaction in self);
}

impl<U: TenantTransaction + ?Sized + 'static> TenantTransaction for BrokenUnit<U> {
    fn context(&self) -> &TenantContext {
        self.inner_ref().context()
    }

    repositories!(TenantTransaction in self);
}
