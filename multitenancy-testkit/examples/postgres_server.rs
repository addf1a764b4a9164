//! Starts a private PostgreSQL server, says its URL, and stops it when standard input ends (Ctrl-D).

use std::io::{self, Read};

use multitenancy_testkit::postgres::PostgresServer;

fn main() -> io::Result<()> {
    let server = PostgresServer::start(&[])?;
    println!("{}", server.url());
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
