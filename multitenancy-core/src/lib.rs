//! Nouns, rules and ports of multi-tenancy. Opens no socket and no file.
//!
//! ```text
//! error  id  environment  page  secret  actor        values
//!    └─▶ event ─▶ tenant ─▶ user ─▶ auth ─▶ permission   nouns, and the ports that keep them
//!                                       mail  bus        ports to the outside
//!                                          └─▶ store     names every repository; the units of work
//!                                                └─▶ relay  account  organization  tenancy   use cases
//!                                                └─▶ memory                                  implements every port
//! ```
//!
//! A module never imports one that stands further along the arrows, but for the use cases, which call each other.
//!
//! * To use it, depend on the `multitenancy` crate, which re-exports this one.
//! * To write an adapter, read [`store`].

pub mod account;
pub mod actor;
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
    environment::{Clock, Environment, Random, Timestamp},
    error::{Error, ErrorKind, Result},
    event::Event,
    id::{EventId, Plane, SessionId, TenantId, UserId},
    permission::Permission,
    store::{ControlTransaction, Store, TenantTransaction, UnitOfWork, UnitOfWorkExt},
    tenancy::{Caller, Realm, Tenancy, TenancyBuilder},
    tenant::{ControlContext, Isolation, Tenant, TenantContext},
    user::{Role, User},
};
