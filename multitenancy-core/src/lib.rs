#![doc = include_str!("../README.md")]

pub mod access;
pub mod account;
pub mod actor;
pub mod audit;
pub mod auth;
pub mod bus;
pub mod environment;
pub mod error;
pub mod event;
pub mod id;
pub mod mail;
pub mod memory;
pub mod organization;
pub mod page;
pub mod permission;
pub mod relay;
pub mod secret;
pub mod store;
pub mod tenancy;
pub mod tenant;
pub mod user;

/// For the secrets in this crate's signatures.
#[doc(no_inline)]
pub use secrecy;

pub use self::{
    access::{Caller, Context},
    environment::{Clock, Environment, Random, Timestamp},
    error::{Error, ErrorKind, Result},
    event::Event,
    id::{AuditId, EventId, Plane, SessionId, TenantId, UserId},
    permission::Permission,
    store::{ControlTransaction, Store, TenantTransaction, UnitOfWork, UnitOfWorkExt},
    tenancy::{Tenancy, TenancyBuilder},
    tenant::{ControlContext, Isolation, Tenant, TenantContext},
    user::{Role, User},
};
