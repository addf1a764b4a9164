use std::fmt;

use multitenancy_core::error::FieldError;
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, schema::Type},
};

use super::{Problem, codes};

/// The JSON of a [`Problem`].
#[derive(Serialize)]
pub(crate) struct ProblemDocument<'a> {
    #[serde(rename = "type", serialize_with = "as_text")]
    kind: Urn,
    #[serde(serialize_with = "as_text")]
    title: Title,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl<'a> ProblemDocument<'a> {
    pub fn new(problem: &'a Problem, instance: Option<&'a str>, request_id: Option<&'a str>) -> Self {
        Self {
            kind: Urn(problem.code()),
            title: Title(problem.code()),
            status: problem.status().as_u16(),
            detail: problem.detail(),
            instance,
            code: problem.code(),
            request_id,
            errors: problem.errors(),
        }
    }
}

/// A name, not a link, so that it never breaks and nothing is fetched.
struct Urn(&'static str);

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "urn:problem:{}", self.0)
    }
}

/// The code as words: `tenant_not_found` is `Tenant not found`.
struct Title(&'static str);

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, char) in self.0.chars().enumerate() {
            let char = match (index, char) {
                (0, char) => char.to_ascii_uppercase(),
                (_, '_') => ' ',
                (_, char) => char,
            };
            fmt::Write::write_char(f, char)?;
        }
        Ok(())
    }
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl PartialSchema for ProblemDocument<'_> {
    fn schema() -> RefOr<Schema> {
        let text =
            |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
        let refused = ObjectBuilder::new()
            .property("field", text("The field, as named in the body."))
            .property("code", text("A stable code, for programs."))
            .property("message", text("A sentence, for people."))
            .required("field")
            .required("code")
            .required("message");
        ObjectBuilder::new()
            .description(Some(format!("A refused request (RFC 9457).\n\n{}", codes::table())))
            .property("type", text("`urn:problem:` and the code."))
            .property("title", text("The code as words."))
            .property("status", ObjectBuilder::new().schema_type(Type::Integer))
            .property("detail", text("The fault of this request."))
            .property("instance", text("The path of the request."))
            .property("code", text("A stable code, for programs."))
            .property("request_id", text("Quote it when you report a problem."))
            .property("errors", ArrayBuilder::new().items(refused))
            .required("type")
            .required("title")
            .required("status")
            .required("detail")
            .required("code")
            .into()
    }
}

impl ToSchema for ProblemDocument<'_> {
    fn name() -> std::borrow::Cow<'static, str> {
        "Problem".into()
    }
}
