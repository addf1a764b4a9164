//! The bundled server: everything wired, SQLite by default.

mod announce;
mod compose;
mod demo;
mod healthcheck;
mod logging;
mod serve;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use crate::settings::Settings;

/// A multi-tenant back end. Without arguments it serves on 127.0.0.1:8080 and keeps its data in ./data; see
/// .env.example for what can be set.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Play the whole walkthrough against a server of its own, on a temporary directory, and print it.
    #[arg(long, conflicts_with = "healthcheck")]
    demo: bool,
    /// Ask the running server whether it is alive; exit with 1 when it is not.
    #[arg(long)]
    healthcheck: bool,
    /// A TOML file of settings; the environment has the last word.
    #[arg(long, value_name = "FILE", env = "CONFIG_FILE")]
    config: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if arguments.demo {
        return demo::play().await;
    }
    let settings = Settings::load(arguments.config.as_deref(), std::env::vars())?;
    if arguments.healthcheck {
        return healthcheck::ask(&settings).await;
    }
    logging::start(&settings)?;
    let server = compose::compose(&settings).await?;
    let listener =
        tokio::net::TcpListener::bind((settings.server_host, settings.server_port)).await.map_err(
            |error| format!("can not listen on {}:{}: {error}", settings.server_host, settings.server_port),
        )?;
    announce::announce(&settings, listener.local_addr()?);
    serve::serve(listener, server, serve::shutdown_signal()).await?;
    Ok(())
}
