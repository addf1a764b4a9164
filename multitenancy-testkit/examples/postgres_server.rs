//! Starts a private PostgreSQL server, prints its URL, and stops it when standard input ends (Ctrl-D). Arguments are
//! settings of the server, such as `shared_buffers=512MB`.

use std::io::{self, Read};

use multitenancy_testkit::postgres::PostgresServer;

fn main() -> io::Result<()> {
    let settings: Vec<String> = std::env::args().skip(1).collect();
    let server = PostgresServer::start(&settings.iter().map(String::as_str).collect::<Vec<_>>())?;
    println!("{}", server.url());
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
