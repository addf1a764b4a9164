//! Serves HTTP until a signal stops the server.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    serve::Listener,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    signal,
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tower::ServiceExt;

/// Limits on the resources that clients use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long a request's head may take to arrive, and how long a connection may be idle.
    pub header_read: Duration,
    /// How long running requests may take to finish after a stop signal.
    pub shutdown: Duration,
}

/// Serves HTTP/1 until a stop signal. Then it accepts no new connection, and waits until the running requests finish, the
/// bound `shutdown` ends, or a second signal comes. It cuts off requests that still run.
pub async fn serve(mut listener: TcpListener, router: Router, limits: Limits, mut stop: mpsc::Receiver<()>) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    // Only HTTP/1: the detection of the version has no timeout, so a silent client would hold its connection forever.
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_read);
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await;
            // `accept` handles its errors itself: it retries, if necessary after a second.
            (permit, Listener::accept(&mut listener).await)
        };
        tokio::select! {
            _signal = stop.recv() => break,
            Some(_ended) = connections.join_next() => {}
            (permit, (stream, peer)) = accepted => {
                let service = router.clone().map_request(move |mut request: Request<_>| {
                    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
                    request
                });
                let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
                let connection = graceful.watch(connection.into_owned());
                connections.spawn(async move {
                    let _permit = permit;
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection failed");
                    }
                });
            }
        }
    }
    drop(listener);
    tracing::info!("stopping: waiting for running requests");
    let second_signal = async {
        // `None`: no signal can come any more.
        if stop.recv().await.is_none() {
            std::future::pending::<Infallible>().await;
        }
    };
    tokio::select! {
        () = graceful.shutdown() => {}
        () = second_signal => tracing::warn!("second stop signal: cutting off running requests"),
        () = tokio::time::sleep(limits.shutdown) => {
            tracing::warn!(seconds = limits.shutdown.as_secs(), "cutting off requests that did not finish in time");
        }
    }
    connections.shutdown().await;
}

/// Receives a message for each Ctrl-C and SIGTERM.
pub fn stop_signals() -> io::Result<mpsc::Receiver<()>> {
    let (signals, stop) = mpsc::channel(2);
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if signals.send(()).await.is_err() {
                    break;
                }
            }
        });
    }
    #[cfg(not(unix))]
    tokio::spawn(async move { while signal::ctrl_c().await.is_ok() && signals.send(()).await.is_ok() {} });
    Ok(stop)
}
