//! The bundled server. It uses SQLite by default, and PostgreSQL if `DATABASE_URL` names one.

mod address;
mod announce;
mod compose;
mod demo;
mod engine;
mod healthcheck;
mod logging;
mod migrate;
mod report;
mod serve;
mod settings;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tokio::net::TcpListener;

use crate::settings::Settings;

/// A multi-tenant back end. Without arguments it listens on 127.0.0.1:8080 and keeps its data in ./data. The file
/// .env.example lists all settings.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Start a server on a temporary directory, send it example requests, print them with the replies, and exit.
    #[arg(long, conflicts_with = "healthcheck")]
    demo: bool,
    /// Ask the running server whether it is alive; exit with 1 if it is not.
    #[arg(long)]
    healthcheck: bool,
    /// A TOML file of settings. Environment variables override it.
    #[arg(long, value_name = "FILE", env = "CONFIG_FILE")]
    config: Option<std::path::PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Migrate(migrate::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        // The reader, such as `head`, has closed the pipe.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            let _closed_output = writeln!(io::stderr(), "error: {}", report::report(&*error));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe)
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
    if let Some(Command::Migrate(arguments)) = &arguments.command {
        // `local`: this command opens no port.
        let engine = engine::Engine::connect(&settings, true).await?;
        let outcome = migrate::run(&*engine.store(), arguments, &mut io::stdout()).await;
        // Audit also after a failure, because the other tenants are served.
        let safe = if arguments.changes_storage() { engine.audit().await } else { Ok(()) };
        engine.close().await;
        safe?;
        return outcome;
    }
    let server = compose::compose(&settings).await?;
    let listener = TcpListener::bind(&server.addresses[..]).await.map_err(|error| {
        let (host, port) = (&settings.server_host, settings.server_port);
        format!("cannot listen on {host}, port {port}: {error}; set SERVER_HOST and SERVER_PORT to another address")
    })?;
    let stop = serve::stop_signals()?;
    match announce::announce(&settings, &server.engine, listener.local_addr()?) {
        // A closed output does not stop the server.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        announced => announced?,
    }
    serve::serve(listener, server.router, settings.limits(), stop).await;
    server.engine.close().await;
    Ok(())
}
