//! What somebody may do: permissions are types, granted to roles where the application is composed.

mod catalogue;
mod grants;

pub use self::grants::{Grants, GrantsBuilder};
pub use catalogue::*;

/// The right to do something. A type without a value: handlers name it in their signature, as
/// `Authorized<WriteProjects>`.
///
/// ```
/// multitenancy_core::permissions! {
///     /// Create and change projects.
///     pub WriteProjects = "write_projects";
/// }
/// ```
pub trait Permission: Send + Sync + 'static {
    /// The name under which it is granted and logged, in `snake_case`.
    const NAME: &'static str;
}

/// Declares [`Permission`]s.
#[macro_export]
macro_rules! permissions {
    ($($(#[$doc:meta])* $visibility:vis $type:ident = $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        $visibility struct $type;

        impl $crate::permission::Permission for $type {
            const NAME: &'static str = $name;
        }
    )*};
}
