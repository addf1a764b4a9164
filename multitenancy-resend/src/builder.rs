use std::time::Duration;

use multitenancy_core::{Error, Result};
use reqwest::{Client, Url, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};

use crate::{mailer::ResendMailer, sender};

/// Builds a [`ResendMailer`].
#[derive(Debug)]
#[must_use]
pub struct ResendMailerBuilder {
    api_key: SecretString,
    from: String,
    base_url: String,
    timeout: Duration,
}

impl ResendMailerBuilder {
    pub(crate) fn new(api_key: SecretString, from: String) -> Self {
        Self {
            api_key,
            from,
            base_url: "https://api.resend.com".to_owned(),
            timeout: Duration::from_secs(10),
        }
    }

    /// The base URL of the API. Default: `https://api.resend.com`. Plain `http` is allowed only for loopback, for tests.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The time limit of one send, including the connection. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the mailer. It sends no request: an unknown key fails at the first message.
    ///
    /// An invalid key, a sender without a valid address, and a base URL that could leak the key are
    /// [`Config`](multitenancy_core::ErrorKind::Config) errors. Their messages do not contain the refused value.
    pub fn build(self) -> Result<ResendMailer> {
        let key = self.api_key.expose_secret();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::config("the Resend API key must be visible ASCII characters, such as re_..."));
        }
        let endpoint = endpoint(&self.base_url)?;
        let mut client = Client::builder()
            // Without a user agent, Resend answers 403.
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .timeout(self.timeout);
        if endpoint.scheme() == "http" {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|error| Error::config("the mail client cannot be created").with_source(error))?;
        Ok(ResendMailer { client, endpoint, api_key: self.api_key, from: sender::parse(&self.from)? })
    }
}

fn endpoint(base_url: &str) -> Result<Url> {
    let mut url = Url::parse(base_url).ok().filter(is_safe).ok_or_else(|| {
        Error::config("the Resend base URL must be https (http only on this machine), without user and query")
    })?;
    let path = format!("{}/emails", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn is_safe(url: &Url) -> bool {
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let local = || matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    bare && (url.scheme() == "https" || url.scheme() == "http" && local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_extends_the_base_url() {
        for (base, expected) in [
            ("https://api.resend.com", "https://api.resend.com/emails"),
            ("https://mail.example.com/resend/", "https://mail.example.com/resend/emails"),
            ("http://localhost:8025", "http://localhost:8025/emails"),
            ("http://[::1]:8025", "http://[::1]:8025/emails"),
        ] {
            assert_eq!(endpoint(base).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn endpoint_refuses_unsafe_base_urls() {
        for wrong in [
            "",
            "api.resend.com",
            "http://api.resend.com",
            "http://localhost.example.com",
            "http://127.0.0.1@example.com",
            "https://user:password@api.resend.com",
            "https://api.resend.com?to=x",
            "https://api.resend.com#x",
            "file:///tmp",
        ] {
            assert!(endpoint(wrong).is_err(), "{wrong:?}");
        }
    }
}
