//! The walkthrough, played against a server of its own over real HTTP.

mod transcript;
mod walkthrough;

use tokio::{net::TcpListener, sync::oneshot};

use self::transcript::Transcript;
use crate::{compose, serve, settings::Settings};

/// Plays the walkthrough on a temporary directory. Fails at the first surprise.
pub async fn play() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let settings = Settings {
        database_url: format!("sqlite:{}", directory.path().display()),
        shutdown_timeout_seconds: serve::AT_ONCE.as_secs(),
        ..Settings::default()
    };
    let server = compose::compose(&settings).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve::serve(listener, server, async {
        let _gone = stopped.await;
    }));

    let mut transcript = Transcript::new(base, settings.api_prefix)?;
    let played = walkthrough::play(&mut transcript).await;
    drop(stop);
    serving.await??;
    played?;
    println!("\nThe walkthrough went as it should: {} requests, no surprise.", transcript.count());
    Ok(())
}
