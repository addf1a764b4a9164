//! What a newcomer sees.

use std::net::SocketAddr;

use crate::settings::Settings;

/// Says where the server is and what to try.
pub fn announce(settings: &Settings, address: SocketAddr) {
    let base = format!("http://{address}");
    let prefix = &settings.api_prefix;
    let secret = match settings.jwt_secret {
        Some(_) => "JWT_SECRET",
        None => "made for this data directory and kept in its secrets/",
    };
    let mail = match settings.resend_api_key {
        Some(_) => "Resend",
        None => "written to the log",
    };
    println!(
        "\
Serving on {base}

  documentation   {base}/docs
  data            {database}
  signing secret  {secret}
  mail            {mail}

Try it:

  curl -s {base}{prefix}/auth/register -H 'content-type: application/json' \\
    -d '{{\"email\":\"ada@example.com\",\"password\":\"correct horse battery staple\"}}'

  curl -s {base}{prefix}/auth/login -H 'content-type: application/json' \\
    -d '{{\"email\":\"ada@example.com\",\"password\":\"correct horse battery staple\"}}'

  curl -s {base}{prefix}/organizations -H 'content-type: application/json' \\
    -H \"authorization: Bearer $ACCESS_TOKEN\" -d '{{\"name\":\"Acme\"}}'

The whole walkthrough, played by the server itself: cargo run -p example-server -- --demo
",
        database = settings.database_url,
    );
}
