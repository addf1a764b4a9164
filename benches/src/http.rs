//! A minimal client: it repeats one request on a kept connection, so that the server dominates the measurement.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
};

/// One request, and the connections it is sent on: one per task.
#[derive(Clone)]
pub struct Load {
    request: Arc<[u8]>,
    /// The length of the reply. It is constant, so the client need not parse replies.
    reply: usize,
    connections: Arc<[Mutex<TcpStream>]>,
}

impl Load {
    /// Opens a connection per task, and sends the request once to measure the length of the reply.
    pub async fn connect(
        address: SocketAddr,
        tasks: usize,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Self> {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut connections = Vec::new();
        for _ in 0..tasks {
            let connection = TcpStream::connect(address).await?;
            connection.set_nodelay(true)?;
            connections.push(Mutex::new(connection));
        }
        let mut load =
            Self { request: request.into_bytes().into(), reply: 0, connections: connections.into() };
        load.reply = load.measure_reply().await?;
        Ok(load)
    }

    /// Sends the request and reads the reply, whose status must be 200.
    pub async fn send(&self, task: usize) -> io::Result<()> {
        let mut connection = self.connections[task].lock().await;
        connection.write_all(&self.request).await?;
        let mut reply = [0; 8192];
        connection.read_exact(&mut reply[..self.reply]).await?;
        require_ok(&reply)
    }

    async fn measure_reply(&self) -> io::Result<usize> {
        let mut connection = self.connections[0].lock().await;
        connection.write_all(&self.request).await?;
        let mut reply = [0; 8192];
        let mut filled = 0;
        loop {
            match connection.read(&mut reply[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
            require_ok(&reply)?;
            if let Some(whole) = whole(&reply[..filled]).filter(|whole| *whole <= filled) {
                return Ok(whole);
            }
        }
    }
}

fn require_ok(reply: &[u8]) -> io::Result<()> {
    if reply.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(reply).into_owned()))
}

/// The length of the reply, or `None` until its head is complete.
fn whole(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.find("\r\n\r\n")?;
    let length = text[..head]
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    Some(head + 4 + length)
}
