//! For container runtimes, whose images have no HTTP client.

use std::{net::IpAddr, time::Duration};

use crate::settings::Settings;

/// Asks the server that runs with these settings whether it is alive.
pub async fn ask(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let host = match settings.server_host {
        host if !host.is_unspecified() => host,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    let address = std::net::SocketAddr::new(host, settings.server_port);
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build()?;
    client.get(format!("http://{address}/health/live")).send().await?.error_for_status()?;
    Ok(())
}
