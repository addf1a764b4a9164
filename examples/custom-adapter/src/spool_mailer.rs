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

/// Puts each message as a file `<key>.eml` into a directory, for another program to deliver.
///
/// A key is remembered as long as its file is there.
#[derive(Debug, Clone)]
pub struct SpoolMailer {
    directory: PathBuf,
    from: Email,
}

impl SpoolMailer {
    /// Spools into `directory`, which is made if it is missing, with `from` as the sender.
    pub fn open(directory: impl Into<PathBuf>, from: Email) -> Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(|error| {
            Error::config("the mail spool can not be made")
                .with_context("directory", directory.display())
                .with_source(error)
        })?;
        Ok(Self { directory, from })
    }

    /// Where the message with this key is, or would be.
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
                Error::new(kind, "mail_unavailable", "the mail spool can not be written").with_source(error)
            })
    }
}

/// Writes a file that others see whole or not at all. The first one stays.
fn write_once(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(failed) => return Err(failed.error),
    }
    // `Ok` promises that the message is taken, and a name that was not synced can be lost.
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// The key itself, if every file system takes it for a name, and takes no other key for the same; else its digest.
fn stem(key: &str) -> String {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if (1..=200).contains(&key.len()) && key.bytes().all(plain) {
        return key.to_owned();
    }
    // No plain key begins with a tilde.
    format!("~{}", digest(&[key]))
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The message as RFC 5322 and 6532 write it. The one that delivers it adds the date.
fn render(from: &Email, message: &Message) -> Result<String> {
    // The fields of a message are public, so it may not have gone through `Message::new`.
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
            // No text contains its own digest.
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
