//! The bundled server: everything wired, SQLite by default, PostgreSQL by `DATABASE_URL`.

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
        // Such as `head`: it has read what it wanted.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            let _nobody_reads = writeln!(io::stderr(), "error: {}", report::report(&*error));
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
        // From the command line alone nobody reaches anything.
        let engine = engine::Engine::connect(&settings, true).await?;
        let outcome = migrate::run(&*engine.store(), arguments, &mut io::stdout()).await;
        // Also when some have failed: the others are served.
        let safe = if arguments.changes_storage() { engine.audit().await } else { Ok(()) };
        engine.close().await;
        safe?;
        return outcome;
    }
    let server = compose::compose(&settings).await?;
    let listener = TcpListener::bind(&server.addresses[..]).await.map_err(|error| {
        let (host, port) = (&settings.server_host, settings.server_port);
        format!("can not listen on {host}, port {port}: {error}; SERVER_HOST and SERVER_PORT say where to")
    })?;
    let stop = serve::stop_signals()?;
    match announce::announce(&settings, &server.engine, listener.local_addr()?) {
        // Nobody reads it; the server is there all the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        announced => announced?,
    }
    serve::serve(listener, server.router, settings.limits(), stop).await;
    server.engine.close().await;
    Ok(())
}
