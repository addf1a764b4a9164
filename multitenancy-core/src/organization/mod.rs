//! The use cases of organizations: making one, completely or not at all, and looking at one's own.

mod create;
mod provision;
mod read;

pub use self::create::NewOrganization;
pub(crate) use self::provision::resume;
