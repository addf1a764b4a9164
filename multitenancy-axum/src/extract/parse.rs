use axum::http::StatusCode;
use multitenancy_core::error::FieldError;
use serde::{
    Deserializer,
    de::{DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Value, error::Category};

use crate::problem::Problem;

/// Reads a whole body of JSON. 400 `malformed_json`, or 422 `validation_failed` naming the field.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(Objects(&mut deserializer)).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        // Of a value that can be no enum serde_json says that it is not JSON.
        let data = error.classify() == Category::Data || serde_json::from_slice::<Value>(body).is_ok();
        if data { Problem::invalid(vec![field_error(&path, &error.to_string())]) } else { malformed(&error) }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = format!("the body is not JSON: line {}, column {}", error.line(), error.column());
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
}

/// Reads a struct from an object only, where serde also takes an array of its fields.
struct Objects<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    // What JSON says itself.
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// What serde says of a value, without the value: it may be a secret.
fn field_error(path: &str, text: &str) -> FieldError {
    let named = |prefix: &str| Some(text.strip_prefix(prefix)?.split_once('`')?.0);
    let (name, code, message) = if let Some(name) = named("missing field `") {
        (Some(name), "required", "is required".to_owned())
    } else if let Some(name) = named("unknown field `") {
        (Some(name), "unknown_field", "is not a field of this request".to_owned())
    } else if let Some(name) = named("duplicate field `") {
        (Some(name), "duplicate_field", "must not occur twice".to_owned())
    } else {
        (None, "type_invalid", wanted(text))
    };
    FieldError { field: join(path, name), code, message }
}

/// The expected type, in the words of JSON where serde uses those of Rust.
fn wanted(text: &str) -> String {
    // The last: the refused value stands before it, and may hold anything.
    let expected =
        text.rsplit_once(", expected ").and_then(|(_, rest)| Some(rest.rsplit_once(" at line ")?.0));
    let Some(expected) = expected else {
        return "is not valid".to_owned();
    };
    if text.starts_with("unknown variant `") {
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        return format!("must be one of: {}", known.join(", "));
    }
    let known = match expected.trim_start_matches("a nonzero ") {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => {
            if text.starts_with("invalid value: integer") {
                return "is out of range".to_owned();
            }
            "a whole number"
        }
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a borrowed string" => "a string",
        "a character" => "one character",
        "a sequence" => "an array",
        "a map" => "an object",
        "unit" => "null",
        rust if rust.starts_with("struct ") => "an object",
        other => other,
    };
    format!("must be {known}")
}

/// The field's place in the body, such as `address.street`; `body` is the body itself.
fn join(path: &str, name: Option<&str>) -> String {
    let parent = if path == "." { "" } else { path };
    match name {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None if parent.is_empty() => "body".to_owned(),
        None => parent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Map;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by the derived Debug only")]
    struct Body {
        name: String,
        count: Option<u8>,
        ratio: Option<f32>,
        open: Option<bool>,
        tags: Option<Vec<String>>,
        free: Option<Map<String, Value>>,
        kind: Option<Kind>,
        address: Option<Address>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        Two,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by the derived Debug only")]
    struct Address {
        street: String,
    }

    #[test]
    fn refusal_names_field_without_value() {
        let refusal = |body: &str| {
            let problem = parse::<Body>(body.as_bytes()).unwrap_err();
            match problem.errors() {
                [] => format!("{} {}", problem.code(), problem.detail()),
                [one] => format!("{}: {} ({})", one.field, one.message, one.code),
                _ => unreachable!(),
            }
        };
        let table = [
            (r#"{"count": 1}"#, "name: is required (required)"),
            (r#"{"name": "a", "id": 1}"#, "id: is not a field of this request (unknown_field)"),
            (r#"{"name": "a", "name": "b"}"#, "name: must not occur twice (duplicate_field)"),
            (r#"{"name": 123456}"#, "name: must be a string (type_invalid)"),
            (r#"{"name": "a", "count": 300}"#, "count: is out of range (type_invalid)"),
            (r#"{"name": "a", "count": -1}"#, "count: is out of range (type_invalid)"),
            (r#"{"name": "a", "count": 1.5}"#, "count: must be a whole number (type_invalid)"),
            (
                r#"{"name": "a", "count": ", expected it at line "}"#,
                "count: must be a whole number (type_invalid)",
            ),
            (r#"{"name": "a", "ratio": "1"}"#, "ratio: must be a number (type_invalid)"),
            (r#"{"name": "a", "open": 1}"#, "open: must be true or false (type_invalid)"),
            (r#"{"name": "a", "tags": {}}"#, "tags: must be an array (type_invalid)"),
            (r#"{"name": "a", "tags": [1]}"#, "tags[0]: must be a string (type_invalid)"),
            (r#"{"name": "a", "free": []}"#, "free: must be an object (type_invalid)"),
            (r#"{"name": "a", "kind": 5}"#, "kind: is not valid (type_invalid)"),
            (r#"{"name": "a", "address": 5}"#, "address: must be an object (type_invalid)"),
            (r#"["a"]"#, "body: must be an object (type_invalid)"),
            (r#" [ "a", 1, "one", {"street": "b"} ]"#, "body: must be an object (type_invalid)"),
            ("[]", "body: must be an object (type_invalid)"),
            (r#"{"name": "a", "kind": }"#, "malformed_json the body is not JSON: line 1, column 23"),
            (r#"{"name": "a", "kind": "three"}"#, "kind: must be one of: one, two (type_invalid)"),
            (r#"{"name": "a", "address": {}}"#, "address.street: is required (required)"),
            (
                r#"{"name": "a", "address": {"street": "b", "x": 1}}"#,
                "address.x: is not a field of this request (unknown_field)",
            ),
            (r#""text""#, "body: must be an object (type_invalid)"),
            (r#"{"name": "a"} x"#, "malformed_json the body is not JSON: line 1, column 15"),
            ("", "malformed_json the body is not JSON: line 1, column 0"),
            ("{\"name\": \"a\u{0}\"}", "malformed_json the body is not JSON: line 1, column 12"),
        ];
        for (body, expected) in table {
            assert_eq!(refusal(body), expected, "{body}");
        }
    }

    /// Other types are read as usual.
    #[test]
    fn body_accepts_non_struct_types() {
        assert_eq!(parse::<Vec<Address>>(br#"[{"street": "a"}]"#).unwrap().len(), 1);
        assert_eq!(parse::<Option<u8>>(b"null").unwrap(), None);
        assert_eq!(parse::<Value>(b"[1]").unwrap(), serde_json::json!([1]));
        assert_eq!(parse::<BTreeMap<u8, bool>>(br#"{"7": true}"#).unwrap(), BTreeMap::from([(7, true)]));
        assert_eq!(parse::<(u8, String)>(br#"[1, "a"]"#).unwrap(), (1, "a".to_owned()));
        assert!(matches!(parse::<Kind>(br#""two""#).unwrap(), Kind::Two));
        assert_eq!(parse::<u128>(b"18446744073709551615").unwrap(), u128::from(u64::MAX));
    }
}
