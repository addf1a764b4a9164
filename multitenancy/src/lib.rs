#![doc = include_str!("../README.md")]
pub use multitenancy_core::*;

/// Extractors, routes, problems and OpenAPI for axum (feature `axum`, on by default).
#[cfg(feature = "axum")]
pub mod axum {
    pub use multitenancy_axum::*;
}

/// Mail through Resend (feature `resend`).
#[cfg(feature = "resend")]
pub mod resend {
    pub use multitenancy_resend::*;
}

/// Storage over sqlx (features `sqlite`, on by default, and `postgres`).
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod sqlx {
    pub use multitenancy_sqlx::*;
}
