#![doc = include_str!("../README.md")]

mod app;
mod facts;
mod layer;
mod log;
mod openapi;
mod prefix;
mod problem;
mod request_scope;
mod routes;
mod schema;
mod system;

pub mod extract;

pub use multitenancy_core::{Tenancy, access::RequestFacts};

pub use self::{
    app::{AppConfig, app, app_with},
    extract::{
        Authenticated, Authorized, CurrentContext, CurrentTenant, CurrentUser, Facts, Json, Path, Peer,
        PlatformUser,
    },
    layer::{RequestLayer, RequestService},
    openapi::openapi,
    problem::Problem,
    routes::routes,
    system::{docs, health},
};
