#![doc = include_str!("../README.md")]

mod builder;
mod failure;
mod mailer;
mod sender;

pub use self::{builder::ResendMailerBuilder, mailer::ResendMailer};
