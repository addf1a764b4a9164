//! The health check of the container image, which has no HTTP client.

use std::time::Duration;

use crate::{address, settings::Settings};

/// Asks the server that runs with these settings whether it is alive. Waits 3 s at most.
pub async fn ask(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build()?;
    let mut outcome = Ok(());
    // A host name can have several addresses, and the server listens on one of them.
    for address in address::resolve(settings).await? {
        let url = format!("http://{}/health/live", address::reached_at(address));
        outcome = client.get(url).send().await.and_then(reqwest::Response::error_for_status).map(drop);
        if outcome.is_ok() {
            break;
        }
    }
    Ok(outcome?)
}
