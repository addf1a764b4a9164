//! A small language to write transcripts in.

pub mod failing;
mod request;
mod world;

pub use self::{
    request::{Answer, Call},
    world::{Api, World},
};

/// The password of everybody here.
pub const PASSWORD: &str = "correct horse battery staple";
