//! A proxy between a store and its server that loses messages.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::server::{server_url, url};

/// The fate of the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// The connection is lost before the server receives it.
    Unheard,
    /// The server performs it, and the connection is lost before any answer.
    Unanswered,
    /// The connection is lost after the answer, before the rest is done.
    CutShort,
}

pub const FATES: [Fate; 4] = [Fate::Answered, Fate::Unheard, Fate::Unanswered, Fate::CutShort];

/// A proxy between a store and its server.
#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    fate: Arc<AtomicUsize>,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), fate: Arc::default() };
        let fate = proxy.fate.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Ends when either side does, or by its fate; both sides are then closed.
                tokio::spawn(pass(client, fate.clone()));
            }
        });
        proxy
    }

    pub fn next(&self, fate: Fate) {
        self.fate.store(fate as usize, Ordering::SeqCst);
    }

    pub fn url(&self, database: &str) -> String {
        let options: PgConnectOptions = server_url().parse().unwrap();
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let through = url(database).replace(&server, &format!("127.0.0.1:{}", self.port));
        // The proxy cannot read encrypted messages.
        format!("{through}{}sslmode=disable", if through.contains('?') { '&' } else { '?' })
    }
}

async fn pass(mut client: TcpStream, next: Arc<AtomicUsize>) -> std::io::Result<()> {
    let options: PgConnectOptions = server_url().parse().unwrap();
    let mut server = TcpStream::connect((options.get_host(), options.get_port())).await?;
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut fate = Fate::Answered;
    loop {
        tokio::select! {
            size = client.read(&mut asked) => {
                let asked = &asked[..size?];
                if find(asked, b"; COMMIT; RESET").is_some() {
                    fate = FATES[next.swap(0, Ordering::SeqCst)];
                }
                if asked.is_empty() || fate == Fate::Unheard {
                    return Ok(());
                }
                server.write_all(asked).await?;
            }
            size = server.read(&mut answered) => {
                let answered = &answered[..size?];
                if answered.is_empty() || fate == Fate::Unanswered {
                    return Ok(());
                }
                if fate == Fate::CutShort && let Some(end) = find(answered, b"COMMIT\0") {
                    return client.write_all(&answered[..end]).await;
                }
                client.write_all(answered).await?;
            }
        }
    }
}

/// The end of `word` in `text`.
fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word).map(|start| start + word.len())
}
