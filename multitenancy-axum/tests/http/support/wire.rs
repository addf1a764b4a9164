use std::net::SocketAddr;

use axum::Router;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A router behind a socket: no library in between tidies requests up.
pub struct Wire {
    address: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
}

impl Wire {
    pub async fn serve(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, server: tokio::spawn(async move { axum::serve(listener, router).await }) }
    }

    /// Sends these lines, and answers with everything that comes back.
    pub async fn exchange(&self, head: impl AsRef<[u8]>, body: &str) -> String {
        let mut request = head.as_ref().to_vec();
        request
            .extend(format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).as_bytes());
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}
