//! What the core promises, tried from outside, on the reference store. Names carry the numbers of the security
//! checklist.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod common_passwords;
mod context;
mod crashes;
mod entry_points;
mod events;
mod evidence;
mod lifecycle;
mod logs;
mod mailing;
mod organizations;
mod passwords;
mod relaying;
mod resolution;
mod reuse;
mod sessions;
mod sign_in;
mod support;
mod token_forgery;
mod token_lifetime;
mod token_shape;
