//! Extractors as evidence: a handler with one in its signature runs only for the callers that it admits.
//!
//! | Extractor | Admits | Otherwise |
//! |---|---|---|
//! | [`CurrentTenant`] | anyone, for one tenant | 400 `tenant_required`, 404 `tenant_not_found` |
//! | [`CurrentUser`] | a signed-in user of the tenant | 401 `unauthenticated`, 403 `wrong_scope` |
//! | [`Authorized<P>`](Authorized) | a signed-in user of the tenant with permission `P` | 403 `permission_denied` |
//! | [`PlatformUser`] | a signed-in user of the platform | 401 `unauthenticated`, 403 `wrong_scope` |
//! | [`Authenticated`] | a signed-in user of either | 401 `unauthenticated` |
//!
//! They hold no connection and no transaction: the handler begins a unit of work after the body has been read. An access
//! token is verified once per request, however many extractors a handler has.

mod authenticated;
mod context;
mod json;
mod parse;
mod path;
mod peer;
mod tenant;

pub(crate) use self::authenticated::{SwitchingCaller, unauthenticated};
pub use self::{
    authenticated::{Authenticated, PlatformUser},
    context::CurrentContext,
    json::Json,
    path::Path,
    peer::Peer,
    tenant::{Authorized, CurrentTenant, CurrentUser},
};
pub use crate::facts::Facts;
