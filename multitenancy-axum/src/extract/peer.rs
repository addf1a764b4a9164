use std::{convert::Infallible, net::SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{header::USER_AGENT, request::Parts},
};
use multitenancy_core::auth::Client;

/// The client of a request, as a session records it: for handlers that start a session.
///
/// The address is known when the router is served with `into_make_service_with_connect_info::<SocketAddr>()`. The user
/// agent is cut to 200 characters, without control characters.
#[derive(Debug, Clone)]
pub struct Peer(pub Client);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        const MAX_CHARS: usize = 200;
        let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let ip = connection.map(|ConnectInfo(peer)| peer.ip().to_string());
        let user_agent = parts.headers.get(USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.chars().filter(|char| !char.is_control()).take(MAX_CHARS).collect()
        });
        Ok(Self(Client { ip, user_agent }))
    }
}
