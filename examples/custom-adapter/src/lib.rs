#![doc = include_str!("../README.md")]

mod metered_store;
mod sequential_bus;
mod spool_mailer;

pub use self::{
    metered_store::{MeteredStore, Outcomes},
    sequential_bus::SequentialBus,
    spool_mailer::SpoolMailer,
};
