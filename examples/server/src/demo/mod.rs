//! The demo: a sequence of HTTP requests to a temporary server.

mod transcript;
mod walkthrough;

use std::{
    io::{self, Write},
    time::Duration,
};

use tokio::{net::TcpListener, sync::mpsc};

use self::transcript::Transcript;
use crate::{compose, serve, serve::Limits, settings::Settings};

/// Starts a server on a temporary directory and runs the walkthrough. It ignores the environment, and fails at the first
/// unexpected reply.
pub async fn play() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let url = format!("sqlite:{}", directory.path().display());
    let settings = Settings { database_url: url.into(), ..Settings::default() };
    let server = compose::compose(&settings).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = mpsc::channel(1);
    let limits = Limits { shutdown: Duration::from_secs(1), ..settings.limits() };
    let serving = tokio::spawn(serve::serve(listener, server.router, limits, stopped));

    let mut transcript = Transcript::new(base, settings.api_prefix)?;
    let played = walkthrough::play(&mut transcript).await;
    drop(stop);
    serving.await?;
    server.engine.close().await;
    played?;
    let count = transcript.count();
    Ok(writeln!(
        io::stdout(),
        "\nThe walkthrough is complete: {count} requests, each with the expected reply."
    )?)
}
