//! Where the server listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use multitenancy::{Error, Result};

use crate::settings::Settings;

/// Resolves `SERVER_HOST`, an address or a host name, with `SERVER_PORT`. Returns at least one address.
pub async fn resolve(settings: &Settings) -> Result<Vec<SocketAddr>> {
    let (host, port) = (settings.server_host.as_str(), settings.server_port);
    let refuse = |why: &str| {
        Error::config(format!(
            "SERVER_HOST {host:?} {why}: give an address such as 127.0.0.1, or a host name"
        ))
    };
    let found = tokio::net::lookup_host((host, port)).await;
    let found: Vec<_> = found.map_err(|error| refuse("cannot be resolved").with_source(error))?.collect();
    if found.is_empty() { Err(refuse("has no address")) } else { Ok(found) }
}

/// Whether only this machine can reach the addresses: all of them are loopback.
pub fn is_local(addresses: &[SocketAddr]) -> bool {
    addresses.iter().all(|address| address.ip().is_loopback())
}

/// The address at which this machine reaches a server that listens on `address`.
pub fn reached_at(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(host: &str) -> Result<Vec<SocketAddr>> {
        resolve(&Settings { server_host: host.to_owned(), ..Settings::default() }).await
    }

    #[tokio::test]
    async fn resolve_accepts_addresses_and_names() {
        for loopback in ["127.0.0.1", "::1", "localhost"] {
            let addresses = resolved(loopback).await.unwrap();
            assert!(is_local(&addresses) && addresses.iter().all(|address| address.port() == 8080));
        }
        for wrong in ["", "no such host", "127.0.0.1:8080", "nowhere.invalid"] {
            let error = resolved(wrong).await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("SERVER_HOST {wrong:?}")), "{error}");
        }
    }

    #[test]
    fn wildcard_address_is_reached_on_loopback() {
        for (listens, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("192.0.2.1:80", "192.0.2.1:80")]
        {
            assert_eq!(reached_at(listens.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
