//! The leanest client there is: the same request on a kept connection, over and over, so that the measurement is of
//! the server.

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
    connections: Arc<[Mutex<TcpStream>]>,
}

impl Load {
    /// Connects as many times as there are tasks.
    pub async fn connect(address: SocketAddr, tasks: usize, path: &str, headers: &[(&str, &str)]) -> io::Result<Self> {
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
        Ok(Self { request: request.into_bytes().into(), connections: connections.into() })
    }

    /// Sends the request and reads the reply, whose status must be 200.
    pub async fn send(&self, task: usize) -> io::Result<()> {
        let mut connection = self.connections[task].lock().await;
        connection.write_all(&self.request).await?;
        let mut reply = [0; 8192];
        let mut filled = 0;
        loop {
            let read = connection.read(&mut reply[filled..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            if let Some(length) = complete(&reply[..filled])? {
                return if length == filled { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) };
            }
        }
    }
}

/// The length of a whole reply; `None` when there is more to come.
fn complete(bytes: &[u8]) -> io::Result<Option<usize>> {
    let text = String::from_utf8_lossy(bytes);
    let Some(head) = text.find("\r\n\r\n") else { return Ok(None) };
    if !text.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(text.into_owned()));
    }
    let length = text[..head]
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let whole = head + 4 + length;
    Ok((bytes.len() >= whole).then_some(whole))
}
