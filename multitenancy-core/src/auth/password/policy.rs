use secrecy::{ExposeSecret, SecretString};
use zxcvbn::zxcvbn;

use super::normalize;
use crate::{
    error::{Error, FieldError, Result},
    user::Email,
};

/// Which new passwords are accepted. Only at their making: an old password is never refused at sign-in.
///
/// The default asks for 12 characters, without rules of composition or rotation (NIST SP 800-63B-4, ASVS 6.2.5):
/// length, and that it is neither common nor made of the user's own names.
#[derive(Debug, Clone)]
pub struct PasswordPolicy {
    min_chars: usize,
    max_bytes: usize,
    classes: bool,
    names: Vec<String>,
}

impl PasswordPolicy {
    /// How hard a password must be to guess, as a power of ten. Twelve characters of chance need 10^12 guesses, four
    /// words 10^15; the values on zxcvbn's list of 30,000 common passwords need less than 10^10.5 even when they are
    /// doubled, extended by `@123` or the year, or put in look-alike letters.
    const MIN_GUESSES_LOG10: f64 = 11.0;
    /// What zxcvbn looks at: its time grows with the square of the length, and longer ones are not common.
    const JUDGED_CHARS: usize = 40;
    /// How many different look-alikes of letters it may see: as many as there are digits cost 4 ms, and each further one
    /// doubles that.
    const JUDGED_LOOK_ALIKES: usize = 10;

    /// 15 characters: what NIST asks of a password that is the only factor (SP 800-63B-4, 3.1.1.2).
    pub fn nist() -> Self {
        Self { min_chars: 15, ..Self::default() }
    }

    /// 12 characters with an upper-case and a lower-case letter, a digit and a special character, for those who
    /// are bound to such a rule.
    pub fn classic() -> Self {
        Self { classes: true, ..Self::default() }
    }

    /// Also refuses passwords made of these names, such as the product's.
    #[must_use]
    pub fn with_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.names.extend(names.into_iter().map(Into::into));
        self
    }

    /// How many characters a password must have.
    pub fn min_chars(&self) -> usize {
        self.min_chars
    }

    /// Judges a new password of the user with this address; `names` are the other names near it, such as the
    /// tenant's. Refusal is 422 on the field `password`.
    ///
    /// The length in bytes is judged first, before any work that grows with it (S35).
    pub fn check(&self, password: &SecretString, email: &Email, names: &[&str]) -> Result<()> {
        if password.expose_secret().len() > self.max_bytes {
            return Err(refuse("too_long", format!("must not exceed {} bytes", self.max_bytes)));
        }
        let normalized = normalize(password);
        let text = normalized.expose_secret();
        if text.chars().count() < self.min_chars {
            return Err(refuse("too_short", format!("must have at least {} characters", self.min_chars)));
        }
        if self.classes && !has_all_classes(text) {
            let message = "must have an upper-case and a lower-case letter, a digit and a special character";
            return Err(refuse("too_simple", message));
        }
        let judged = judged(text);
        let own_names: Vec<&str> = [email.as_str(), email.local_part(), email.domain()]
            .into_iter()
            .chain(names.iter().copied())
            .chain(self.names.iter().map(String::as_str))
            .collect();
        let own_words = words(&own_names);
        let inputs: Vec<&str> = own_words.iter().map(String::as_str).chain(COMMON.lines()).collect();
        if zxcvbn(&judged, &inputs).guesses_log10() < Self::MIN_GUESSES_LOG10 {
            return Err(refuse("too_common", "is too easy to guess"));
        }
        Ok(())
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_chars: 12, max_bytes: 1024, classes: false, names: vec!["multitenancy".to_owned()] }
    }
}

/// Values of 12 characters or more on published lists of common passwords that look like chance to zxcvbn.
const COMMON: &str = include_str!("common.txt");

/// The part of a password that is judged, at a bounded cost: of its look-alikes the first few kinds, and dots for the
/// others.
fn judged(text: &str) -> String {
    let mut look_alikes = Vec::new();
    let seen = text.chars().take(PasswordPolicy::JUDGED_CHARS).map(|char| {
        if !"4@8({[<3691!|70$5+%2".contains(char) || look_alikes.contains(&char) {
            return char;
        }
        if look_alikes.len() < PasswordPolicy::JUDGED_LOOK_ALIKES {
            look_alikes.push(char);
            return char;
        }
        '.'
    });
    seen.collect()
}

fn refuse(code: &'static str, message: impl Into<String>) -> Error {
    Error::invalid(vec![FieldError { field: "password".to_owned(), code, message: message.into() }])
}

fn has_all_classes(text: &str) -> bool {
    let has = |class: fn(char) -> bool| text.chars().any(class);
    has(char::is_uppercase)
        && has(char::is_lowercase)
        && has(char::is_numeric)
        && has(|c| !c.is_alphanumeric())
}

/// The names whole, without their separators, and word by word, in lower case.
fn words(names: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    for name in names {
        let name = name.to_lowercase();
        words.extend(name.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 2).map(str::to_owned));
        words.push(name.chars().filter(|c| c.is_alphanumeric()).collect());
        words.push(name);
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a judge sees is bounded, so that nobody can send work: its time doubles with each kind of look-alike.
    #[test]
    fn what_is_judged_is_bounded() {
        let hostile = format!("4@8({{[<3691!|70$5+%2{}", "abcdefghij".repeat(8));
        let seen = judged(&hostile);
        assert_eq!(seen.chars().count(), PasswordPolicy::JUDGED_CHARS);
        assert_eq!(seen.chars().filter(|char| *char == '.').count(), 20 - PasswordPolicy::JUDGED_LOOK_ALIKES);
        assert_eq!(judged("4815162342"), "4815162342", "digits are all seen");
    }
}
