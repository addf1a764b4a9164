//! Settings: each field is an environment variable in upper case, and a key of the TOML file in lower case.

use std::{path::Path, str::FromStr, time::Duration};

use config::{Config, Environment, File, FileFormat, Map};
use multitenancy::{Error, Isolation, tenant::Domain};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::serve::Limits;

/// The settings of the server. `.env.example` explains each of them.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub server_host: String,
    pub server_port: u16,
    /// Can contain a password, like `database_admin_url`.
    pub database_url: SecretString,
    pub database_admin_url: Option<SecretString>,
    #[serde(deserialize_with = "parsed_if_any")]
    pub default_isolation: Option<Isolation>,
    pub auto_migrate: bool,
    pub sqlite_max_open_connections: u32,
    pub db_max_connections: u32,
    pub db_max_connections_per_tenant: Option<u32>,
    pub db_acquire_timeout_seconds: u32,
    pub db_statement_timeout_seconds: u32,
    pub db_transaction_pooler: bool,
    pub jwt_secret: Option<SecretString>,
    pub jwt_issuer: String,
    pub jwt_audience: String,
    pub access_token_ttl_seconds: u32,
    pub refresh_token_ttl_seconds: u32,
    pub tenant_cache_ttl_seconds: u32,
    #[serde(deserialize_with = "parsed_if_any")]
    pub base_domain: Option<Domain>,
    pub tenant_header_name: Option<String>,
    pub api_prefix: String,
    pub tenant_registration: bool,
    pub events_enabled: bool,
    pub resend_api_key: Option<SecretString>,
    pub resend_from_email: Option<String>,
    pub log_level: String,
    #[serde(deserialize_with = "parsed")]
    pub log_format: LogFormat,
    pub shutdown_timeout_seconds: u32,
    pub header_read_timeout_seconds: u32,
    pub max_connections: u32,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Pretty,
    /// A JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> multitenancy::Result<Self> {
        match text {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            _ => Err(Error::config(format!("LOG_FORMAT {text:?} is unknown; write pretty or json"))),
        }
    }
}

/// The environment variables, in the order of `.env.example`.
pub const VARIABLES: [&str; 30] = [
    "SERVER_HOST",
    "SERVER_PORT",
    "API_PREFIX",
    "TENANT_HEADER_NAME",
    "BASE_DOMAIN",
    "MAX_CONNECTIONS",
    "HEADER_READ_TIMEOUT_SECONDS",
    "SHUTDOWN_TIMEOUT_SECONDS",
    "DATABASE_URL",
    "DATABASE_ADMIN_URL",
    "DEFAULT_ISOLATION",
    "AUTO_MIGRATE",
    "SQLITE_MAX_OPEN_CONNECTIONS",
    "DB_MAX_CONNECTIONS",
    "DB_MAX_CONNECTIONS_PER_TENANT",
    "DB_ACQUIRE_TIMEOUT_SECONDS",
    "DB_STATEMENT_TIMEOUT_SECONDS",
    "DB_TRANSACTION_POOLER",
    "JWT_SECRET",
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "ACCESS_TOKEN_TTL_SECONDS",
    "REFRESH_TOKEN_TTL_SECONDS",
    "TENANT_CACHE_TTL_SECONDS",
    "TENANT_REGISTRATION",
    "EVENTS_ENABLED",
    "RESEND_API_KEY",
    "RESEND_FROM_EMAIL",
    "LOG_LEVEL",
    "LOG_FORMAT",
];

/// In seconds.
const YEAR: u32 = 31_536_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_host: "127.0.0.1".to_owned(),
            server_port: 8080,
            database_url: "sqlite:data".into(),
            database_admin_url: None,
            default_isolation: None,
            auto_migrate: true,
            sqlite_max_open_connections: 128,
            db_max_connections: 50,
            db_max_connections_per_tenant: None,
            db_acquire_timeout_seconds: 5,
            db_statement_timeout_seconds: 30,
            db_transaction_pooler: false,
            jwt_secret: None,
            jwt_issuer: "multitenancy".to_owned(),
            jwt_audience: "multitenancy".to_owned(),
            access_token_ttl_seconds: 900,
            refresh_token_ttl_seconds: 604_800,
            tenant_cache_ttl_seconds: 3600,
            base_domain: None,
            tenant_header_name: None,
            api_prefix: "/api/v1".to_owned(),
            tenant_registration: true,
            events_enabled: true,
            resend_api_key: None,
            resend_from_email: None,
            log_level: "info".to_owned(),
            log_format: LogFormat::Pretty,
            shutdown_timeout_seconds: 30,
            header_read_timeout_seconds: 10,
            max_connections: 512,
        }
    }
}

impl Settings {
    /// Reads the settings from `file` and `environment`; the environment overrides the file. An unknown key in the file
    /// and an invalid value are errors. An empty variable counts as not set.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, config::ConfigError> {
        let known: Map<String, String> = environment
            .into_iter()
            .filter(|(name, value)| VARIABLES.contains(&name.as_str()) && !value.is_empty())
            .collect();
        let mut builder = Config::builder();
        if let Some(file) = file {
            builder = builder.add_source(File::from(file).format(FileFormat::Toml));
        }
        let settings: Self =
            builder.add_source(Environment::default().source(Some(known))).build()?.try_deserialize()?;
        settings.check()
    }

    /// Checks values that no later step checks, or that its error would not name.
    fn check(mut self) -> Result<Self, config::ConfigError> {
        let refuse = |message: String| Err(config::ConfigError::Message(message));
        let given = |secret: Option<SecretString>| secret.filter(|secret| !secret.expose_secret().is_empty());
        self.jwt_secret = given(self.jwt_secret);
        self.database_admin_url = given(self.database_admin_url);
        let per_tenant = self.db_max_connections_per_tenant.unwrap_or(1);
        for (name, value, least, most) in [
            ("MAX_CONNECTIONS", self.max_connections, 1, 1_000_000),
            ("HEADER_READ_TIMEOUT_SECONDS", self.header_read_timeout_seconds, 1, 3600),
            ("SHUTDOWN_TIMEOUT_SECONDS", self.shutdown_timeout_seconds, 0, 3600),
            ("SQLITE_MAX_OPEN_CONNECTIONS", self.sqlite_max_open_connections, 1, 32_768),
            ("DB_MAX_CONNECTIONS", self.db_max_connections, 1, 10_000),
            ("DB_MAX_CONNECTIONS_PER_TENANT", per_tenant, 1, self.db_max_connections),
            ("DB_ACQUIRE_TIMEOUT_SECONDS", self.db_acquire_timeout_seconds, 1, 300),
            ("DB_STATEMENT_TIMEOUT_SECONDS", self.db_statement_timeout_seconds, 1, 3600),
            ("ACCESS_TOKEN_TTL_SECONDS", self.access_token_ttl_seconds, 1, 900),
            ("REFRESH_TOKEN_TTL_SECONDS", self.refresh_token_ttl_seconds, 1, YEAR),
            ("TENANT_CACHE_TTL_SECONDS", self.tenant_cache_ttl_seconds, 0, YEAR),
        ] {
            if !(least..=most).contains(&value) {
                return refuse(format!("{name} must be {least} to {most}, but it is {value}"));
            }
        }
        if self.resend_api_key.is_some() != self.resend_from_email.is_some() {
            return refuse("set both RESEND_API_KEY and RESEND_FROM_EMAIL, or neither".to_owned());
        }
        Ok(self)
    }

    /// The limits on clients.
    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.max_connections as usize,
            header_read: seconds(self.header_read_timeout_seconds),
            shutdown: seconds(self.shutdown_timeout_seconds),
        }
    }
}

/// The duration of a setting in seconds.
pub fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

/// Parses a value from its text.
fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Error>,
{
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn parsed_if_any<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Error>,
{
    parsed(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(None, variables).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_override_the_defaults() {
        let settings = load(&[("PATH", "/bin"), ("JWT_SECRET", "")]).unwrap();
        assert_eq!((settings.server_port, settings.database_url.expose_secret()), (8080, "sqlite:data"));
        assert!(settings.jwt_secret.is_none());
        let settings = load(&[
            ("SERVER_PORT", "9000"),
            ("AUTO_MIGRATE", "false"),
            ("LOG_FORMAT", "json"),
            ("DEFAULT_ISOLATION", "database"),
            ("BASE_DOMAIN", "example.com"),
            ("JWT_SECRET", "00000000000000000000000000000000000000001"),
        ])
        .unwrap();
        assert_eq!((settings.server_port, settings.auto_migrate), (9000, false));
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!(settings.default_isolation, Some(Isolation::Database));
        let secret = settings.jwt_secret.unwrap();
        assert_eq!(secret.expose_secret().len(), 41, "a secret of digits stays text");
    }

    #[test]
    fn settings_error_names_the_wrong_value() {
        for (name, value) in [
            ("SERVER_PORT", "eighty"),
            ("SERVER_PORT", "70000"),
            ("LOG_FORMAT", "xml"),
            ("DEFAULT_ISOLATION", "table"),
            ("BASE_DOMAIN", "not a domain"),
            ("AUTO_MIGRATE", "perhaps"),
            ("RESEND_API_KEY", "re_123"),
            ("MAX_CONNECTIONS", "0"),
            ("MAX_CONNECTIONS", "18446744073709551615"),
            ("SQLITE_MAX_OPEN_CONNECTIONS", "0"),
            ("DB_MAX_CONNECTIONS", "0"),
            ("DB_MAX_CONNECTIONS", "10001"),
            ("DB_MAX_CONNECTIONS_PER_TENANT", "0"),
            ("DB_MAX_CONNECTIONS_PER_TENANT", "51"),
            ("DB_ACQUIRE_TIMEOUT_SECONDS", "301"),
            ("DB_STATEMENT_TIMEOUT_SECONDS", "0"),
            ("ACCESS_TOKEN_TTL_SECONDS", "0"),
            ("ACCESS_TOKEN_TTL_SECONDS", "901"),
            ("REFRESH_TOKEN_TTL_SECONDS", "0"),
            ("REFRESH_TOKEN_TTL_SECONDS", "31536001"),
            ("REFRESH_TOKEN_TTL_SECONDS", "18446744073709551615"),
            ("TENANT_CACHE_TTL_SECONDS", "-1"),
            ("HEADER_READ_TIMEOUT_SECONDS", "0"),
            ("SHUTDOWN_TIMEOUT_SECONDS", "3601"),
        ] {
            let error = load(&[(name, value)]).unwrap_err();
            let says_what = error.to_uppercase().contains(name) || error.contains(value);
            assert!(says_what, "{name}={value}: {error}");
            assert!(!error.contains("re_123"), "no secret in an error: {error}");
        }
    }

    /// The sample file has every variable and no other one, each with its default.
    #[test]
    fn sample_file_matches_the_settings() {
        const WITHOUT_DEFAULT: [&str; 8] = [
            "TENANT_HEADER_NAME",
            "BASE_DOMAIN",
            "DATABASE_ADMIN_URL",
            "DEFAULT_ISOLATION",
            "DB_MAX_CONNECTIONS_PER_TENANT",
            "JWT_SECRET",
            "RESEND_API_KEY",
            "RESEND_FROM_EMAIL",
        ];
        let sample = include_str!("../../../.env.example");
        let shown: Vec<_> = sample
            .lines()
            .filter_map(|line| line.trim_start_matches("# ").split_once('='))
            .filter(|(name, _)| name.chars().all(|char| char.is_ascii_uppercase() || char == '_'))
            .collect();
        let named: Vec<_> = shown.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, VARIABLES);
        let defaults: Vec<_> =
            shown.into_iter().filter(|(name, _)| !WITHOUT_DEFAULT.contains(name)).collect();
        assert!(defaults.iter().all(|(_, value)| !value.is_empty()));
        let (fields, loaded) = (format!("{:?}", Settings::default()), load(&defaults).unwrap());
        assert_eq!(format!("{loaded:?}"), fields);
        assert_eq!(loaded.database_url.expose_secret(), Settings::default().database_url.expose_secret());
        for name in VARIABLES {
            assert!(fields.contains(&format!("{}: ", name.to_lowercase())), "{name}");
        }
    }
    #[test]
    fn s114_settings_hide_secrets() {
        let secrets = [
            ("DATABASE_URL", "postgres://app:hunter2@localhost/app"),
            ("DATABASE_ADMIN_URL", "postgres://admin:hunter2@localhost/app"),
            ("JWT_SECRET", "hunter2-hunter2-hunter2-hunter2-hunter2"),
            ("RESEND_API_KEY", "re_hunter2"),
            ("RESEND_FROM_EMAIL", "a@example.com"),
        ];
        let shown = format!("{:?}", load(&secrets).unwrap());
        assert!(shown.contains("a@example.com") && !shown.contains("hunter2"), "{shown}");
    }
}
