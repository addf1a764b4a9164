use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::User;
use crate::{
    environment::Timestamp,
    error::{Error, FieldError, Result},
};

/// What a user says about themselves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// A handle; not used to sign in.
    pub username: Option<String>,
    /// The whole name.
    pub full_name: Option<String>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// What to call the user.
    pub display_name: Option<String>,
    /// A telephone number, as the user writes it.
    pub phone: Option<String>,
    /// Where the picture is; `http` or `https`.
    pub avatar_url: Option<String>,
    /// Free facts of the application.
    pub metadata: Map<String, Value>,
}

/// A change of a profile. A field that is `None` stays as it is; an empty text clears it. `metadata` is merged key
/// by key; a key that is null is removed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileUpdate {
    /// New [`Profile::username`].
    pub username: Option<String>,
    /// New [`Profile::full_name`].
    pub full_name: Option<String>,
    /// New [`Profile::first_name`].
    pub first_name: Option<String>,
    /// New [`Profile::last_name`].
    pub last_name: Option<String>,
    /// New [`Profile::display_name`].
    pub display_name: Option<String>,
    /// New [`Profile::phone`].
    pub phone: Option<String>,
    /// New [`Profile::avatar_url`].
    pub avatar_url: Option<String>,
    /// Merged into [`Profile::metadata`].
    pub metadata: Option<Map<String, Value>>,
}

/// The longest text field of a profile, in characters.
const MAX_CHARS: usize = 200;
/// The longest picture address, in bytes.
const MAX_URL: usize = 2_000;
/// The largest metadata, as JSON text.
const MAX_METADATA: usize = 16 * 1024;

impl ProfileUpdate {
    /// Changes the user's profile; names the fields that really changed, in a fixed order. Refused values are 422
    /// with every refused field, and then nothing has changed.
    pub fn apply(self, user: &mut User, at: Timestamp) -> Result<Vec<&'static str>> {
        let mut profile = user.profile.clone();
        let mut refused = Vec::new();
        let mut changed = Vec::new();
        let texts = [
            ("username", self.username, &mut profile.username, MAX_CHARS),
            ("full_name", self.full_name, &mut profile.full_name, MAX_CHARS),
            ("first_name", self.first_name, &mut profile.first_name, MAX_CHARS),
            ("last_name", self.last_name, &mut profile.last_name, MAX_CHARS),
            ("display_name", self.display_name, &mut profile.display_name, MAX_CHARS),
            ("phone", self.phone, &mut profile.phone, 40),
            ("avatar_url", self.avatar_url, &mut profile.avatar_url, MAX_URL),
        ];
        for (field, new, slot, max) in texts {
            let Some(text) = new else { continue };
            match parse_text(field, &text, max) {
                Err(error) => refused.push(error),
                Ok(value) if value != *slot => {
                    *slot = value;
                    changed.push(field);
                }
                Ok(_) => {}
            }
        }
        if let Some(patch) = self.metadata {
            let before = profile.metadata.clone();
            for (key, value) in patch {
                match value {
                    Value::Null => drop(profile.metadata.remove(&key)),
                    value => drop(profile.metadata.insert(key, value)),
                }
            }
            let size = serde_json::to_vec(&profile.metadata).map_or(usize::MAX, |json| json.len());
            if size > MAX_METADATA {
                let message = "must not exceed 16 KiB in all".to_owned();
                refused.push(FieldError { field: "metadata".into(), code: "too_large", message });
            } else if profile.metadata != before {
                changed.push("metadata");
            }
        }
        if !refused.is_empty() {
            return Err(Error::invalid(refused));
        }
        if !changed.is_empty() {
            user.profile = profile;
            user.updated_at = at;
        }
        Ok(changed)
    }
}

fn parse_text(field: &'static str, text: &str, max: usize) -> Result<Option<String>, FieldError> {
    let text = text.trim();
    let refuse = |code, message: String| Err(FieldError { field: field.into(), code, message });
    if text.is_empty() {
        return Ok(None);
    }
    if text.chars().count() > max {
        return refuse("too_long", format!("must not exceed {max} characters"));
    }
    if text.chars().any(char::is_control) {
        return refuse("control_characters", "must not hold control characters".into());
    }
    if field == "avatar_url" && !["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) {
        return refuse("url_invalid", "must be an http or https address".into());
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{environment::Environment, id::UserId, user::Role};

    fn user() -> User {
        let environment = Environment::system();
        let email = "ada@example.com".parse().unwrap();
        User::new(UserId::generate(&environment), email, vec![Role::MEMBER], environment.now())
    }

    #[test]
    fn an_update_changes_what_it_names_and_merges_metadata() {
        let (mut user, at) = (user(), Environment::system().now());
        user.profile.full_name = Some("Ada".into());
        user.profile.phone = Some("1".into());
        user.profile.metadata = json!({"a": 1, "b": 2}).as_object().unwrap().clone();
        let update = ProfileUpdate {
            full_name: Some(" Ada Lovelace ".into()),
            phone: Some(String::new()),
            metadata: json!({"b": null, "c": 3}).as_object().cloned(),
            ..ProfileUpdate::default()
        };
        assert_eq!(update.clone().apply(&mut user, at).unwrap(), ["full_name", "phone", "metadata"]);
        assert_eq!(user.profile.full_name.as_deref(), Some("Ada Lovelace"));
        assert_eq!(user.profile.phone, None);
        assert_eq!(Value::Object(user.profile.metadata.clone()), json!({"a": 1, "c": 3}));
        assert!(update.apply(&mut user, at).unwrap().is_empty(), "the same change again is none");
    }

    #[test]
    fn refused_values_are_all_named_and_nothing_changes() {
        let mut user = user();
        let before = user.clone();
        let update = ProfileUpdate {
            full_name: Some("ok".into()),
            username: Some("a\u{1b}[2J".into()),
            phone: Some("1".repeat(41)),
            avatar_url: Some("javascript:alert(1)".into()),
            metadata: json!({"big": "x".repeat(MAX_METADATA)}).as_object().cloned(),
            ..ProfileUpdate::default()
        };
        let error = update.apply(&mut user, before.updated_at).unwrap_err();
        let codes: Vec<_> = error.fields().iter().map(|field| (field.field.as_str(), field.code)).collect();
        assert_eq!(
            codes,
            [
                ("username", "control_characters"),
                ("phone", "too_long"),
                ("avatar_url", "url_invalid"),
                ("metadata", "too_large"),
            ]
        );
        assert_eq!(user, before);
    }
}
