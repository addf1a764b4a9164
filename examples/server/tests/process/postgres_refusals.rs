use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
};

use crate::{
    database::Database,
    refusals::{refusal_of, says},
};

/// The error of a server that refuses to start. Asserts that it has no password.
fn refusal(command: &mut Command) -> String {
    let said = refusal_of(command.output().unwrap());
    assert!(!said.contains("hunter2"), "{said}");
    said
}

#[tokio::test]
async fn error_names_an_unreachable_server() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unused = format!("postgres://app:hunter2@{free}/app");
    let mut command = database.command(directory.path());
    let said = refusal(command.env("DATABASE_URL", &unused).env("DATABASE_ADMIN_URL", &unused));
    says(&said, &["DATABASE_URL", "does not answer at", &free.to_string(), "start it", "refused"]);
}

/// A fake server refuses the password, because test servers often ask for none.
#[test]
fn error_hides_a_wrong_password() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://app:hunter2@{}/app?sslmode=disable", listener.local_addr().unwrap());
    let refusing = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut startup = [0; 1024];
        let _length = stream.read(&mut startup).unwrap();
        let fields = "SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"app\"\0\0";
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        stream.write_all(&[b"E", &length[..], fields.as_bytes()].concat()).unwrap();
    });
    let mut command = crate::program::command(directory.path());
    let said = refusal(command.env("DATABASE_URL", url));
    refusing.join().unwrap();
    says(&said, &["DATABASE_URL", "refuses the login", "correct the user and the password"]);
    says(&said, &["caused by", "password authentication failed for user \"app\""]);
}

#[tokio::test]
async fn error_names_a_missing_role() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let missing = database.url().replace(":hunter2", "_nobody:hunter2");
    let said = refusal(database.command(directory.path()).env("DATABASE_URL", missing));
    says(&said, &["DATABASE_URL", "refuses the login", "CREATE ROLE", "_nobody"]);
}

#[tokio::test]
async fn error_names_a_missing_database() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let mut command = database.command(directory.path());
    let nowhere = |url: String| format!("{url}_nowhere");
    command.env("DATABASE_URL", nowhere(database.url()));
    let said = refusal(command.env("DATABASE_ADMIN_URL", nowhere(database.admin_url())));
    says(&said, &["DATABASE_URL or DATABASE_ADMIN_URL", "does not exist", "CREATE DATABASE", "_nowhere"]);
}

#[tokio::test]
async fn error_names_a_missing_privilege() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let said = refusal(database.command(directory.path()).env_remove("DATABASE_ADMIN_URL"));
    says(&said, &["DATABASE_URL", "lacks a right", "permission denied", "admin URL", "CREATEDB"]);
}

#[tokio::test]
async fn server_refuses_a_foreign_schema() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    drop(database.start(directory.path(), &[]));
    database.execute("UPDATE multitenancy_marker SET fingerprint = 'another'".to_owned()).await;
    let said = refusal(database.command(directory.path()).env("AUTO_MIGRATE", "false"));
    says(&said, &["another version", "AUTO_MIGRATE=true"]);
    drop(database.start(directory.path(), &[]));
}

#[tokio::test]
async fn error_explains_a_missing_secret() {
    let (directory, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let said = refusal(database.command(directory.path()).env_remove("JWT_SECRET"));
    says(&said, &["JWT_SECRET is not set", "With PostgreSQL it is required", "openssl rand"]);
}

#[test]
fn error_hides_an_unreadable_url() {
    let directory = tempfile::tempdir().unwrap();
    for url in
        ["postgres://app:hunter2@:port/x", "postgres://app:hunter2@host:99999999/x", "app:hunter2@host/x"]
    {
        let mut command = crate::program::command(directory.path());
        says(
            &refusal(command.env("DATABASE_URL", url)),
            &["DATABASE_URL", "postgres://user:password@host/database"],
        );
    }
    for (name, value, right) in [
        ("DATABASE_ADMIN_URL", "postgres://admin:hunter2@host/app", "SQLite"),
        ("DB_MAX_CONNECTIONS", "0", "1 to 10000"),
        ("DB_MAX_CONNECTIONS_PER_TENANT", "51", "1 to 50"),
        ("DB_ACQUIRE_TIMEOUT_SECONDS", "0", "1 to 300"),
        ("DB_STATEMENT_TIMEOUT_SECONDS", "3601", "1 to 3600"),
    ] {
        let mut command = crate::program::command(directory.path());
        says(&refusal(command.env(name, value)), &[name, right]);
    }
}
