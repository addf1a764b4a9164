//! Builds the application from its settings.

use multitenancy::{
    Error, Result, Store, Tenancy,
    auth::{KeyRing, SigningKey, TokenConfig},
    axum::{AppConfig, app_with},
    resend::ResendMailer,
    tenant::Resolution,
};
use std::net::SocketAddr;

use crate::{
    address,
    engine::Engine,
    settings::{Settings, seconds},
};

/// A composed server.
pub struct Server {
    pub router: axum::Router,
    pub engine: Engine,
    /// The addresses to listen on; the first one that is free is used.
    pub addresses: Vec<SocketAddr>,
}

/// Opens the store, migrates it, and connects the other parts to it.
pub async fn compose(settings: &Settings) -> Result<Server> {
    let addresses = address::resolve(settings).await?;
    let local = address::is_local(&addresses);
    let engine = Engine::open(settings, local).await?;
    let store = engine.store();
    let keys = keys(settings, local, &*store)?;
    let mut builder = Tenancy::builder_dyn(store)
        .keys(keys)
        .tokens(TokenConfig {
            issuer: settings.jwt_issuer.clone(),
            audience: settings.jwt_audience.clone(),
            ttl: seconds(settings.access_token_ttl_seconds),
            ..TokenConfig::default()
        })
        .tenant_registration(settings.tenant_registration)
        .session_lifetime(seconds(settings.refresh_token_ttl_seconds))
        .tenant_cache_ttl(seconds(settings.tenant_cache_ttl_seconds))
        .resolution(resolution(settings));
    if let (Some(key), Some(from)) = (&settings.resend_api_key, &settings.resend_from_email) {
        let mailer = ResendMailer::builder(key.clone(), from).build();
        builder =
            builder.mailer(mailer.map_err(|error| named("RESEND_API_KEY and RESEND_FROM_EMAIL", &error))?);
    }
    let tenancy = if settings.events_enabled {
        builder.build()?
    } else {
        let tenancy = builder.without_background_work().build()?;
        tenancy.organizations().resume().await?;
        tenancy
    };
    let config = AppConfig { prefix: settings.api_prefix.clone(), ..AppConfig::default() };
    let router = app_with(&tenancy, &config).map_err(|error| named("API_PREFIX", &error))?;
    Ok(Server { router, engine, addresses })
}

fn resolution(settings: &Settings) -> Resolution {
    let mut resolution = Resolution { base_domain: settings.base_domain.clone(), ..Resolution::default() };
    if let Some(name) = &settings.tenant_header_name {
        resolution.headers = vec![name.to_lowercase()];
    }
    resolution
}

fn named(variable: &str, error: &Error) -> Error {
    Error::config(format!("{variable}: {error}"))
}

/// The key of `JWT_SECRET`. Without it, SQLite generates a random key and keeps it beside the data. That fits one machine
/// only: a server that other machines can reach needs `JWT_SECRET`, and so do servers that share a database.
fn keys(settings: &Settings, local: bool, store: &dyn Store) -> Result<KeyRing> {
    if let Some(secret) = &settings.jwt_secret {
        let key = SigningKey::hs256(secret).map_err(|error| named("JWT_SECRET", &error))?;
        return Ok(KeyRing::new(key));
    }
    const GIVE: &str = "set at least 32 random bytes, for example from `openssl rand -base64 48`";
    if !local {
        let host = &settings.server_host;
        return Err(Error::config(format!(
            "JWT_SECRET is not set, and other machines can reach the server on SERVER_HOST {host}; {GIVE}"
        )));
    }
    let secret = store.local_secret("jwt")?.ok_or_else(|| {
        Error::config(format!(
            "JWT_SECRET is not set. With PostgreSQL it is required, and all servers on one database need the same value; {GIVE}"
        ))
    })?;
    Ok(KeyRing::new(SigningKey::hs256(&secret)?))
}

#[cfg(test)]
mod tests {
    use multitenancy::Isolation;

    use super::*;

    async fn refusal(change: impl FnOnce(&mut Settings)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().display());
        let mut settings = Settings { database_url: url.into(), ..Settings::default() };
        change(&mut settings);
        compose(&settings).await.map(drop).unwrap_err().to_string()
    }

    /// S51: the server refuses to start without a secret, unless it listens on loopback. It always refuses a short or sample
    /// secret.
    #[tokio::test]
    async fn s51_server_requires_a_strong_secret() {
        for open in ["0.0.0.0", "::"] {
            let refused = refusal(|settings| settings.server_host = open.to_owned()).await;
            assert!(refused.starts_with("JWT_SECRET is not set"), "{refused}");
        }
        for weak in ["short", "change-me-change-me-change-me-change-me"] {
            assert!(
                refusal(|settings| settings.jwt_secret = Some(weak.into())).await.starts_with("JWT_SECRET: ")
            );
        }
        let sample = include_str!("../../../.env.example");
        let sample = sample.lines().find_map(|line| line.strip_prefix("# JWT_SECRET=")).unwrap();
        assert!(
            refusal(|settings| settings.jwt_secret = Some(sample.into())).await.starts_with("JWT_SECRET: ")
        );
    }

    #[tokio::test]
    async fn sqlite_refuses_postgres_settings() {
        for isolation in [Isolation::Shared, Isolation::Schema] {
            let error = refusal(|settings| settings.default_isolation = Some(isolation)).await;
            assert!(error.starts_with(&format!("DEFAULT_ISOLATION is {isolation}")), "{error}");
        }
        let error = refusal(|settings| settings.database_admin_url = Some("postgres://a:b@c/d".into())).await;
        assert!(error.starts_with("DATABASE_ADMIN_URL is set, but DATABASE_URL names SQLite"), "{error}");
    }

    #[tokio::test]
    async fn unknown_driver_error_names_known_drivers() {
        let error =
            refusal(|settings| settings.database_url = "mysql://root:hunter2@localhost/x".into()).await;
        assert_eq!(
            error,
            "DATABASE_URL names the driver \"mysql\"; the known drivers are sqlite, as in sqlite:data, and postgres, as in \
             postgres://user:password@host/database"
        );
        for url in ["hunter2", "hunter2@localhost:5432/x", "//root:hunter2@localhost/x"] {
            let error = refusal(|settings| settings.database_url = url.into()).await;
            assert!(
                error.starts_with("DATABASE_URL names no driver: write sqlite:data, or postgres://"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn server_refuses_values_out_of_range() {
        for seconds in [0, 31_536_001, u32::MAX] {
            let error = refusal(|settings| settings.refresh_token_ttl_seconds = seconds).await;
            assert!(error.starts_with("a session must last 1 s to 365 days"), "{error}");
        }
        for seconds in [0, 901, u32::MAX] {
            let error = refusal(|settings| settings.access_token_ttl_seconds = seconds).await;
            assert!(error.starts_with("access tokens must live 1 to 900 seconds"), "{error}");
        }
        let error = refusal(|settings| settings.tenant_cache_ttl_seconds = u32::MAX).await;
        assert!(error.starts_with("a tenant may be remembered"), "{error}");
        for count in [0, 32_769, u32::MAX] {
            let error = refusal(|settings| settings.sqlite_max_open_connections = count).await;
            assert!(error.starts_with("the store needs 1 to 32768 open connections"), "{error}");
        }
        for name in ["Authorization", "cookie", "Host", "x tenant"] {
            let error = refusal(|settings| settings.tenant_header_name = Some(name.to_owned())).await;
            assert!(error.contains("is no name for a tenant header"), "{error}");
        }
        for prefix in ["api/v1", "/api/", "/", "/{tenant}"] {
            let error = refusal(|settings| settings.api_prefix = prefix.to_owned()).await;
            assert!(error.starts_with(&format!("API_PREFIX: {prefix:?} is no path prefix")), "{error}");
        }
    }

    #[tokio::test]
    async fn second_process_cannot_use_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().display());
        let settings = Settings { database_url: url.into(), ..Settings::default() };
        let first = compose(&settings).await.unwrap();
        let second = compose(&settings).await.map(drop).unwrap_err().to_string();
        assert!(second.contains("is in use by another process"), "{second}");
        drop(first);
    }
}
