//! Who asks, and for whom.

mod caller;
mod context;

pub use self::{caller::Caller, context::Context};
