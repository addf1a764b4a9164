//! The clauses of [`TenantRepository`](multitenancy_core::tenant::TenantRepository).

mod closing;
mod registry;

pub use self::{closing::*, registry::*};
