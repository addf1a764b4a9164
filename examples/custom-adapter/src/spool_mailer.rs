use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use multitenancy::{
    Error, ErrorKind, Result,
    mail::{Mailer, Message},
    user::Email,
};
use sha2::{Digest, Sha256};

/// Writes each message to a directory, as the file `<key>.eml`. Another program delivers the files.
///
/// A key is known as long as its file exists.
#[derive(Debug, Clone)]
pub struct SpoolMailer {
    directory: PathBuf,
    from: Email,
}

impl SpoolMailer {
    /// Opens the spool in `directory`, and creates the directory if it is missing. `from` is the sender.
    pub fn open(directory: impl Into<PathBuf>, from: Email) -> Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(|error| {
            Error::config("the mail spool cannot be created")
                .with_context("directory", directory.display())
                .with_source(error)
        })?;
        Ok(Self { directory, from })
    }

    /// The path of the file for this key, which need not exist.
    pub fn path(&self, idempotency_key: &str) -> PathBuf {
        self.directory.join(format!("{}.eml", stem(idempotency_key)))
    }
}

#[async_trait]
impl Mailer for SpoolMailer {
    async fn send(&self, message: &Message) -> Result<()> {
        let text = render(&self.from, message)?;
        let (directory, path) = (self.directory.clone(), self.path(&message.idempotency_key));
        tokio::task::spawn_blocking(move || write_once(&directory, &path, text.as_bytes()))
            .await
            .map_err(Error::internal)?
            .map_err(|error| {
                let kind = ErrorKind::Unavailable;
                Error::new(kind, "mail_unavailable", "the mail spool cannot be written").with_source(error)
            })
    }
}

/// Creates the file atomically. If the file exists, it stays as it is.
fn write_once(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(failed) => return Err(failed.error),
    }
    // `Ok` promises that the message is kept, and a crash can lose a file name that was not synced.
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// The key, if it is a valid and distinct file name on every file system; else its digest.
fn stem(key: &str) -> String {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if (1..=200).contains(&key.len()) && key.bytes().all(plain) {
        return key.to_owned();
    }
    // The tilde keeps digests apart from keys: no key that is used as a name begins with it.
    format!("~{}", digest(&[key]))
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The message in the format of RFC 5322 and 6532, without a date, which the delivering program adds.
fn render(from: &Email, message: &Message) -> Result<String> {
    // The fields of a message are public, so a caller can bypass the checks of `Message::new`.
    if message.subject.chars().any(char::is_control) {
        return Err(Error::invalid_field("subject", "control_characters", "must be one line"));
    }
    let (to, subject, id) = (&message.to, &message.subject, stem(&message.idempotency_key));
    let domain = from.domain();
    let head = format!(
        "From: {from}\nTo: {to}\nSubject: {subject}\nMessage-ID: <{id}@{domain}>\nMIME-Version: 1.0\n"
    );
    let plain = part("plain", &message.text);
    let mail = match &message.html {
        None => head + &plain,
        Some(html) => {
            // The digest cannot occur in the text it is computed from.
            let boundary = digest(&[&message.text, html]);
            let html = part("html", html);
            format!(
                "{head}Content-Type: multipart/alternative; boundary=\"{boundary}\"\n\n\
                 --{boundary}\n{plain}\n--{boundary}\n{html}\n--{boundary}--\n"
            )
        }
    };
    Ok(mail.replace("\r\n", "\n").replace('\n', "\r\n"))
}

fn part(kind: &str, text: &str) -> String {
    format!("Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}")
}
