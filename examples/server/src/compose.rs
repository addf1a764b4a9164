//! From settings to an application.

use multitenancy::{
    Error, Isolation, Result, Store, Tenancy,
    auth::{KeyRing, SigningKey, TokenConfig},
    axum::{AppConfig, app_with},
    resend::ResendMailer,
    sqlx::SqliteStore,
    tenant::Resolution,
};
use std::time::Duration;

use crate::settings::Settings;

/// A composed server.
pub struct Server {
    pub router: axum::Router,
    pub shutdown_timeout: Duration,
}

/// Opens the store, migrates it, and wires everything to it.
pub async fn compose(settings: &Settings) -> Result<Server> {
    let store = open_store(settings).await?;
    check_isolation(settings, &store)?;
    if settings.auto_migrate {
        store.migrate().await?;
    }
    let mut builder = Tenancy::builder(store)
        .tokens(TokenConfig {
            issuer: settings.jwt_issuer.clone(),
            audience: settings.jwt_audience.clone(),
            ttl: Duration::from_secs(settings.access_token_ttl_seconds),
            ..TokenConfig::default()
        })
        .tenant_registration(settings.tenant_registration)
        .session_lifetime(settings.session_lifetime())
        .tenant_cache_ttl(Duration::from_secs(settings.tenant_cache_ttl_seconds))
        .resolution(resolution(settings));
    if let Some(keys) = keys(settings)? {
        builder = builder.keys(keys);
    }
    if let (Some(key), Some(from)) = (&settings.resend_api_key, &settings.resend_from_email) {
        builder = builder.mailer(ResendMailer::builder(key.clone(), from).build()?);
    }
    let tenancy = if settings.events_enabled {
        builder.build()?
    } else {
        let tenancy = builder.without_background_work().build()?;
        tenancy.resume_organizations().await?;
        tenancy
    };
    let router =
        app_with(&tenancy, &AppConfig { prefix: settings.api_prefix.clone(), ..AppConfig::default() })?;
    Ok(Server { router, shutdown_timeout: Duration::from_secs(settings.shutdown_timeout_seconds) })
}

fn resolution(settings: &Settings) -> Resolution {
    let mut resolution = Resolution { base_domain: settings.base_domain.clone(), ..Resolution::default() };
    if let Some(name) = &settings.tenant_header_name {
        resolution.headers = vec![name.to_lowercase()];
    }
    resolution
}

async fn open_store(settings: &Settings) -> Result<SqliteStore> {
    let url = &settings.database_url;
    if !url.starts_with("sqlite:") {
        let scheme = url.split(':').next().unwrap_or_default();
        return Err(Error::config(format!(
            "DATABASE_URL names the driver {scheme:?}; this server knows sqlite, as in sqlite:data"
        )));
    }
    SqliteStore::builder(url).max_open_connections(settings.sqlite_max_open_connections).connect().await
}

fn check_isolation(settings: &Settings, store: &SqliteStore) -> Result<()> {
    match settings.default_isolation {
        Some(isolation) if !store.isolations().contains(&isolation) => Err(Error::config(format!(
            "DEFAULT_ISOLATION is {isolation}, but SQLite keeps tenants apart by a file each: leave it out or set \
             it to {}",
            Isolation::Database
        ))),
        _ => Ok(()),
    }
}

/// The given key; or none, which lets the store keep a random one beside its data. That is for one machine alone: a
/// server that others can reach must be given its secret.
fn keys(settings: &Settings) -> Result<Option<KeyRing>> {
    match &settings.jwt_secret {
        Some(secret) => {
            let key =
                SigningKey::hs256(secret).map_err(|error| Error::config(format!("JWT_SECRET: {error}")))?;
            Ok(Some(KeyRing::new(key)))
        }
        None if settings.server_host.is_loopback() => Ok(None),
        None => Err(Error::config(format!(
            "JWT_SECRET is not set, and SERVER_HOST is {}, where others can reach it; give at least 32 random bytes, \
             for example from `openssl rand -base64 48`",
            settings.server_host
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(change: impl FnOnce(&mut Settings)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().display());
        let mut settings = Settings { database_url: url, ..Settings::default() };
        change(&mut settings);
        compose(&settings).await.map(drop).unwrap_err().to_string()
    }

    /// S51: elsewhere than on loopback a missing secret, and anywhere a short or sample one, refuses to start.
    #[tokio::test]
    async fn s51_the_server_refuses_to_start_without_a_good_secret() {
        let open = "0.0.0.0".parse().unwrap();
        assert!(refusal(|settings| settings.server_host = open).await.starts_with("JWT_SECRET is not set"));
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
    async fn what_sqlite_can_not_do_is_refused_by_name() {
        for isolation in [Isolation::Shared, Isolation::Schema] {
            let error = refusal(|settings| settings.default_isolation = Some(isolation)).await;
            assert!(error.starts_with(&format!("DEFAULT_ISOLATION is {isolation}")), "{error}");
        }
        let error = refusal(|settings| settings.database_url = "mysql://localhost/x".into()).await;
        assert_eq!(
            error,
            "DATABASE_URL names the driver \"mysql\"; this server knows sqlite, as in sqlite:data"
        );
    }

    #[tokio::test]
    async fn one_process_uses_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().display());
        let settings = Settings { database_url: url, ..Settings::default() };
        let first = compose(&settings).await.unwrap();
        let second = compose(&settings).await.map(drop).unwrap_err().to_string();
        assert!(second.contains("is in use by another process"), "{second}");
        drop(first);
    }
}
