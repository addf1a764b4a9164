//! The HTTP interface, as transcripts: requests, and what is answered. One binary, over the store in memory.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can not go on has failed")]

mod agreement;
mod auth;
mod body;
mod document;
mod entry_points;
mod extract;
mod layer;
mod limits;
mod logs;
mod openapi;
mod organizations;
mod problems;
mod support;
mod system;
mod tenant;
mod tenants;
mod walkthrough;
