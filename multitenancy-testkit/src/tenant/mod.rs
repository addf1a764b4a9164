//! The clauses of [`TenantRepository`](multitenancy_core::tenant::TenantRepository).

mod closing;
mod registry;

pub(crate) use self::closing::{add, try_set_status};
pub use self::{closing::*, registry::*};
