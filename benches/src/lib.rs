#![doc = include_str!("../README.md")]

pub mod http;
mod ratio;

pub use self::ratio::{Comparison, Effort};
