//! What a newcomer sees.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use secrecy::ExposeSecret;

use crate::{address, engine::Engine, settings::Settings};

/// Says where the server is and what to try. The lines work as they stand, pasted into a shell one after the other.
pub fn announce(settings: &Settings, engine: &Engine, address: SocketAddr) -> io::Result<()> {
    let base = format!("http://{}", address::reached_at(address));
    let prefix = &settings.api_prefix;
    let secret = match settings.jwt_secret {
        Some(_) => "JWT_SECRET",
        None => "made for this data directory and kept in its secrets/",
    };
    let data = match engine {
        Engine::Sqlite(_) => settings.database_url.expose_secret(),
        Engine::Postgres(_) => "in PostgreSQL, where DATABASE_URL says",
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

Try it:

  curl -s {base}{prefix}/auth/register -H 'content-type: application/json' \
    -d '{{"email":"ada@example.com","password":"correct horse battery staple"}}'

  ACCESS_TOKEN=$(curl -s {base}{prefix}/auth/login -H 'content-type: application/json' \
    -d '{{"email":"ada@example.com","password":"correct horse battery staple"}}' \
    | sed 's/.*"access_token":"\([^"]*\).*/\1/')

  curl -s {base}{prefix}/organizations -H 'content-type: application/json' \
    -H "authorization: Bearer $ACCESS_TOKEN" -d '{{"name":"Acme"}}'

The whole walkthrough, played by the server itself: cargo run -p example-server -- --demo
"#
    )?;
    out.flush()
}
