//! The text that a server prints at its start.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use secrecy::ExposeSecret;

use crate::{address, engine::Engine, settings::Settings};

/// Prints the server's address, its settings and the first requests to try. The commands work as printed, in a shell.
pub fn announce(settings: &Settings, engine: &Engine, address: SocketAddr) -> io::Result<()> {
    let base = format!("http://{}", address::reached_at(address));
    let prefix = &settings.api_prefix;
    let secret = match settings.jwt_secret {
        Some(_) => "JWT_SECRET",
        None => "generated, and kept in secrets/ of the data directory",
    };
    let data = match engine {
        Engine::Sqlite(_) => settings.database_url.expose_secret(),
        Engine::Postgres(_) => "PostgreSQL, as DATABASE_URL says",
    };
    let mail = match settings.resend_api_key {
        Some(_) => "Resend",
        None => "written to the log",
    };
    let mut out = io::stdout().lock();
    writeln!(
        out,
        r#"Serving on http://{address}

  documentation   {base}/docs
  data            {data}
  signing secret  {secret}
  mail            {mail}

Try it in another terminal:

  curl -s {base}{prefix}/auth/register -H 'content-type: application/json' \
    -d '{{"email":"ada@example.com","password":"correct horse battery staple"}}'

  ACCESS_TOKEN=$(curl -s {base}{prefix}/auth/login -H 'content-type: application/json' \
    -d '{{"email":"ada@example.com","password":"correct horse battery staple"}}' \
    | sed 's/.*"access_token":"\([^"]*\).*/\1/')

  curl -s {base}{prefix}/organizations -H 'content-type: application/json' \
    -H "authorization: Bearer $ACCESS_TOKEN" -d '{{"name":"Acme"}}'

To see every request and reply, run the demo: cargo run -p example-server -- --demo
"#
    )?;
    out.flush()
}
