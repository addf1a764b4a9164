//! Who asks, and for whom.

mod authenticate;
mod caller;
mod context;
mod directory;
mod facts;
mod principals;

pub(crate) use self::principals::{live_user, require_membership};
pub use self::{authenticate::Access, caller::Caller, context::Context, facts::RequestFacts};
