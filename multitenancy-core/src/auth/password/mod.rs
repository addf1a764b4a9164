mod hash;
mod hasher;
mod policy;

pub use self::{
    hash::PasswordHash,
    hasher::{HashingConfig, PasswordHasher, Verification},
    policy::PasswordPolicy,
};

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

/// The form of a password that is judged and hashed: NFKC, whole, in its case (S36). So one password typed on two
/// keyboards is one password.
fn normalize(password: &SecretString) -> SecretString {
    password.expose_secret().nfkc().collect::<String>().into()
}
