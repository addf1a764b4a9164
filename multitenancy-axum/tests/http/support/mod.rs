//! A small language to write transcripts in.

pub mod probe;
mod request;
mod wire;
mod world;

pub use self::{
    request::{Answer, Call},
    wire::Wire,
    world::{Api, SECRET, Signed, World, document},
};

/// The password of everybody here.
pub const PASSWORD: &str = "correct horse battery staple";
