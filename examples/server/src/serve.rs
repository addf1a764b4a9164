//! Serving until told to stop.

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

/// What clients may take of the server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// How long the head of a request may take to arrive, and a connection to lie idle.
    pub header_read: Duration,
    /// How long running requests may take to finish when the server is told to stop.
    pub shutdown: Duration,
}

/// Serves HTTP/1 until told to stop; then takes no new connection, and lets the requests that are running finish
/// within the bound, or until told again.
pub async fn serve(mut listener: TcpListener, router: Router, limits: Limits, mut stop: mpsc::Receiver<()>) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    // HTTP/1 alone: a client that says nothing at all would be waited for without end while the version is found out.
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_read);
    loop {
        let accepted = async {
            let turn = room.clone().acquire_owned().await;
            // Of its errors it makes an end itself: it tries again, after a second if need be.
            (turn, Listener::accept(&mut listener).await)
        };
        tokio::select! {
            _told = stop.recv() => break,
            Some(_ended) = connections.join_next() => {}
            (turn, (stream, peer)) = accepted => {
                let service = router.clone().map_request(move |mut request: Request<_>| {
                    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
                    request
                });
                let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
                let connection = graceful.watch(connection.into_owned());
                connections.spawn(async move {
                    let _turn = turn;
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection ended badly");
                    }
                });
            }
        }
    }
    drop(listener);
    tracing::info!("stopping: running requests may finish");
    let told_again = async {
        // `None`: there is nobody to tell it.
        if stop.recv().await.is_none() {
            std::future::pending::<Infallible>().await;
        }
    };
    tokio::select! {
        () = graceful.shutdown() => {}
        () = told_again => tracing::warn!("told again: running requests are cut off"),
        () = tokio::time::sleep(limits.shutdown) => {
            tracing::warn!(seconds = limits.shutdown.as_secs(), "some requests did not finish in time");
        }
    }
    connections.shutdown().await;
}

/// Says when to stop: at each Ctrl-C and SIGTERM.
pub fn stop_signals() -> io::Result<mpsc::Receiver<()>> {
    let (told, stop) = mpsc::channel(2);
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
                if told.send(()).await.is_err() {
                    break;
                }
            }
        });
    }
    #[cfg(not(unix))]
    tokio::spawn(async move { while signal::ctrl_c().await.is_ok() && told.send(()).await.is_ok() {} });
    Ok(stop)
}
