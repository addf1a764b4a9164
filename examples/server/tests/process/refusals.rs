use std::{net::TcpListener, os::unix::fs::PermissionsExt, path::Path, process::Output};

use crate::program::{Program, command};

/// The error of a server that refuses to start.
fn refusal(directory: &Path, variables: &[(&str, &str)]) -> String {
    refusal_of(command(directory).envs(variables.iter().copied()).output().unwrap())
}

pub fn refusal_of(output: Output) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
    said
}

pub fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

#[test]
fn error_names_a_damaged_file() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(
        data.join("control.db"),
        "this text is not a database, but it is long enough for a header".repeat(100),
    )
    .unwrap();
    says(&refusal(directory.path(), &[]), &["control.db", "backup", "caused by", "file is not a database"]);
}

#[test]
fn error_names_an_unusable_directory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let inside = format!("sqlite:{}/file/data", directory.path().display());
    says(
        &refusal(directory.path(), &[("DATABASE_URL", &inside)]),
        &["cannot create the directory", "file/data"],
    );

    let running = Program::start(directory.path(), &[]);
    says(&refusal(directory.path(), &[]), &["is in use by another process", "data"]);
    drop(running);

    let secret = directory.path().join("data/secrets/jwt");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    says(&refusal(directory.path(), &[]), &["secrets/jwt", "chmod 600"]);
}

#[test]
fn error_names_a_taken_port() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = refusal(directory.path(), &[("SERVER_PORT", &port)]);
    says(&said, &["cannot listen on 127.0.0.1", &port, "in use", "SERVER_PORT"]);
}

#[test]
fn error_shows_a_valid_value() {
    let directory = tempfile::tempdir().unwrap();
    for (name, value, right) in [
        ("DATABASE_URL", "mysql://localhost/x", "sqlite:data"),
        ("DATABASE_URL", "sqlite::memory:", "sqlite:<directory>"),
        ("SERVER_HOST", "nowhere.invalid", "127.0.0.1"),
        ("SERVER_PORT", "eighty", "expected an integer"),
        ("API_PREFIX", "api", "/api/v1"),
        ("TENANT_HEADER_NAME", "Authorization", "x-tenant-id"),
        ("BASE_DOMAIN", "example", "host name"),
        ("DEFAULT_ISOLATION", "table", "shared, schema, database"),
        ("AUTO_MIGRATE", "perhaps", "a boolean"),
        ("JWT_SECRET", "0123456789012345678901234567890123456789", "openssl rand"),
        ("ACCESS_TOKEN_TTL_SECONDS", "0", "1 to 900"),
        ("REFRESH_TOKEN_TTL_SECONDS", "0", "1 to 31536000"),
        ("REFRESH_TOKEN_TTL_SECONDS", "4000000000", "1 to 31536000"),
        ("SQLITE_MAX_OPEN_CONNECTIONS", "0", "1 to 32768"),
        ("LOG_LEVEL", "nope", "debug"),
        ("LOG_FORMAT", "xml", "pretty"),
    ] {
        let said = refusal(directory.path(), &[(name, value)]);
        says(&said, &[right]);
        let said = said.to_uppercase();
        assert!(said.contains(name) || said.contains(&value.to_uppercase()), "{name}={value}: {said}");
    }
}

#[test]
fn failed_health_check_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let check = |port: &str| {
        command(directory.path()).env("SERVER_PORT", port).arg("--healthcheck").output().unwrap()
    };
    says(&refusal_of(check(&free)), &["/health/live", "refused"]);
    let program = Program::start(directory.path(), &[("SERVER_HOST", "localhost")]);
    assert!(check(&program.address.port().to_string()).status.success());
}
