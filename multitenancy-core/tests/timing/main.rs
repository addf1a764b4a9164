//! What asserts how long something takes: one test after the other, in a program of its own. `cargo test` runs programs one
//! after the other, and `cargo xtask test` runs this one at the end.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod overload;
mod passwords;
mod sign_in;
#[path = "../behaviour/support.rs"]
#[expect(dead_code, reason = "the other program uses all of it")]
mod support;

/// Held by the test that measures.
static MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
