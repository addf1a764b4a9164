//! What routes and their documentation share: limits, and schemas that are written by hand.

use utoipa::openapi::{Object, ObjectBuilder, schema::Type};

/// The largest body of a request to the framework's own endpoints: 64 KiB.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// A text with a fixed set of values.
pub(crate) fn one_of(description: &str, known: &[impl ToString]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(known.iter().map(ToString::to_string)))
        .build()
}
