//! Serving until told to stop.

use std::{
    future::{Future, IntoFuture},
    io,
    net::SocketAddr,
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot};

use crate::compose::Server;

/// Serves until `stop`; then takes no new connection, lets the requests that are running finish within the bound,
/// and returns.
pub async fn serve(listener: TcpListener, server: Server, stop: impl Future<Output = ()>) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel::<()>();
    let service = server.router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async {
        let _dropped = stopped.await;
    });
    let bound = async {
        stop.await;
        tracing::info!("stopping: running requests may finish");
        drop(stopping);
        tokio::time::sleep(server.shutdown_timeout).await;
    };
    tokio::select! {
        served = serving.into_future() => served,
        () = bound => {
            tracing::warn!(seconds = server.shutdown_timeout.as_secs(), "some requests did not finish in time");
            Ok(())
        }
    }
}

/// Ctrl-C, or SIGTERM.
pub async fn shutdown_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

/// How long the demonstration's server may take to stop.
pub const AT_ONCE: Duration = Duration::from_secs(1);
