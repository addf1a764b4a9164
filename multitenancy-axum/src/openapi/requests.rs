use multitenancy_core::{auth::PasswordPolicy, tenant::Resolution};
use utoipa::openapi::{
    ObjectBuilder, OpenApi, RefOr, Schema,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::Type,
};

use crate::schema::BODY_LIMIT;

/// Describes the tenant header and the size limit of a body.
pub(super) fn describe(operation: &mut Operation, resolution: &Resolution) {
    if let Some(parameter) = tenant_parameter(resolution) {
        operation.parameters.get_or_insert_default().push(parameter.into());
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.description = Some(format!("JSON, of at most {} KiB.", BODY_LIMIT / 1024));
    }
}

fn tenant_parameter(resolution: &Resolution) -> Option<Parameter> {
    let (name, aliases) = resolution.headers.split_first()?;
    let mut description =
        "The id or the slug of the organization that the request is for. Optional with a token; \
                           it must then name the organization of the token."
            .to_owned();
    if !aliases.is_empty() {
        description.push_str(&format!(" Also as {}.", quoted(aliases)));
    }
    if !resolution.query_parameters.is_empty() {
        let names = quoted(&resolution.query_parameters);
        description.push_str(&format!(" A query parameter {names} must name the same organization."));
    }
    let text = ObjectBuilder::new().schema_type(Type::String);
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
    Some(parameter.description(Some(description)).schema(Some(text)).build())
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Describes the minimum length of a new password.
pub(super) fn describe_password(document: &mut OpenApi, policy: &PasswordPolicy) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let registration = schemas.and_then(|schemas| schemas.get_mut("Registration"));
    if let Some(RefOr::T(Schema::Object(registration))) = registration
        && let Some(RefOr::T(Schema::Object(password))) = registration.properties.get_mut("password")
    {
        password.min_length = Some(policy.min_chars());
    }
}
