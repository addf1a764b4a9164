//! The use cases of people: registering, signing in, going on, leaving, and what they say of themselves.

mod login;
mod profile;
mod refresh;
mod register;
mod switch;
mod welcome;

pub use self::{
    login::{Credentials, SignedIn},
    register::Registration,
    welcome::Welcome,
};
