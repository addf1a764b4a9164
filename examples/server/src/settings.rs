//! What can be set: each field is a variable of the environment in upper case, and a key of the TOML file in lower
//! case.

use std::{net::IpAddr, path::Path, time::Duration};

use config::{Config, Environment, File, FileFormat, Map};
use multitenancy::{Isolation, tenant::Domain};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error as _};

/// The settings of the server. `.env.example` explains each of them.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub server_host: IpAddr,
    pub server_port: u16,
    pub database_url: String,
    #[serde(deserialize_with = "parsed")]
    pub default_isolation: Option<Isolation>,
    pub auto_migrate: bool,
    pub sqlite_max_open_connections: usize,
    pub jwt_secret: Option<SecretString>,
    pub jwt_issuer: String,
    pub jwt_audience: String,
    pub access_token_ttl_seconds: u64,
    pub refresh_token_ttl_seconds: u64,
    pub tenant_cache_ttl_seconds: u64,
    #[serde(deserialize_with = "parsed")]
    pub base_domain: Option<Domain>,
    pub tenant_header_name: Option<String>,
    pub api_prefix: String,
    pub tenant_registration: bool,
    pub events_enabled: bool,
    pub resend_api_key: Option<SecretString>,
    pub resend_from_email: Option<String>,
    pub log_level: String,
    pub log_format: LogFormat,
    pub shutdown_timeout_seconds: u64,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For programs.
    Json,
}

/// The variables that are read from the environment, in the order of `.env.example`.
pub const VARIABLES: [&str; 22] = [
    "SERVER_HOST",
    "SERVER_PORT",
    "API_PREFIX",
    "TENANT_HEADER_NAME",
    "BASE_DOMAIN",
    "SHUTDOWN_TIMEOUT_SECONDS",
    "DATABASE_URL",
    "DEFAULT_ISOLATION",
    "AUTO_MIGRATE",
    "SQLITE_MAX_OPEN_CONNECTIONS",
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_host: IpAddr::from([127, 0, 0, 1]),
            server_port: 8080,
            database_url: "sqlite:data".to_owned(),
            default_isolation: None,
            auto_migrate: true,
            sqlite_max_open_connections: 128,
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
        }
    }
}

impl Settings {
    /// The settings of `file` and of `environment`, which has the last word. A key of the file that is unknown, and
    /// a value that can not be, are errors. An empty variable is as good as none.
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

    fn check(self) -> Result<Self, config::ConfigError> {
        let refuse = |message: &str| Err(config::ConfigError::Message(message.to_owned()));
        if !self.api_prefix.starts_with('/') || self.api_prefix.ends_with('/') {
            return refuse("API_PREFIX must begin with / and not end with it, as in /api/v1");
        }
        if self.resend_api_key.is_some() != self.resend_from_email.is_some() {
            return refuse("RESEND_API_KEY and RESEND_FROM_EMAIL go together: set both or neither");
        }
        Ok(self)
    }

    /// How long a session goes on.
    pub fn session_lifetime(&self) -> Duration {
        Duration::from_secs(self.refresh_token_ttl_seconds)
    }
}

/// A value that parses from its text.
fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err = multitenancy::Error>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(None, variables).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_needs_to_be_set_and_everything_can_be() {
        let settings = load(&[("PATH", "/bin"), ("JWT_SECRET", "")]).unwrap();
        assert_eq!((settings.server_port, settings.database_url.as_str()), (8080, "sqlite:data"));
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
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&secret).len(),
            41,
            "a secret of digits stays as it is"
        );
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (name, value) in [
            ("SERVER_PORT", "eighty"),
            ("SERVER_PORT", "70000"),
            ("SERVER_HOST", "nowhere"),
            ("LOG_FORMAT", "xml"),
            ("DEFAULT_ISOLATION", "table"),
            ("BASE_DOMAIN", "not a domain"),
            ("AUTO_MIGRATE", "perhaps"),
            ("API_PREFIX", "api/"),
            ("RESEND_API_KEY", "re_123"),
        ] {
            let error = load(&[(name, value)]).unwrap_err();
            let says_what = error.to_uppercase().contains(name) || error.contains(value);
            assert!(says_what, "{name}={value}: {error}");
            assert!(!error.contains("re_123"), "no secret in an error: {error}");
        }
    }

    /// The sample file names every variable, each with its default, and no other.
    #[test]
    fn the_sample_file_is_complete() {
        let sample = include_str!("../../../.env.example");
        let named: Vec<_> = sample
            .lines()
            .filter_map(|line| line.trim_start_matches("# ").split_once('='))
            .map(|(name, _)| name)
            .filter(|name| name.chars().all(|char| char.is_ascii_uppercase() || char == '_'))
            .collect();
        assert_eq!(named, VARIABLES);
        let fields = format!("{:?}", Settings::default());
        for name in VARIABLES {
            assert!(fields.contains(&format!("{}: ", name.to_lowercase())), "{name}");
        }
    }
}
