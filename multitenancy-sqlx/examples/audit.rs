//! Looks at a database for what would let one tenant at another's rows: `cargo xtask audit`.

use std::{error::Error, process::ExitCode};

use multitenancy_sqlx::{AuditOptions, audit};

#[tokio::main]
async fn main() -> ExitCode {
    let url = std::env::var("DATABASE_URL").ok();
    ExitCode::from(run(std::env::args().skip(1), url).await)
}

/// Looks at the database that the arguments name, or else `url` does, and tells each fault with the statement that mends
/// it. 0 when there is none; 1 when there is one, or when the database could not be looked at.
pub async fn run(arguments: impl Iterator<Item = String>, url: Option<String>) -> u8 {
    match look(arguments, url).await {
        Ok(faults) => u8::from(faults > 0),
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    }
}

async fn look(arguments: impl Iterator<Item = String>, url: Option<String>) -> Result<usize, Box<dyn Error>> {
    let mut arguments = arguments.peekable();
    let named = arguments.next_if(|first| !first.starts_with("--"));
    let url = named.or(url.filter(|url| !url.is_empty())).ok_or(
        "DATABASE_URL names no database; usage: audit [URL] [--login ROLE] [--reference TABLE]… [--old-server]",
    )?;
    let mut options = AuditOptions::default();
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--login" => options.login = Some(value()?),
            "--reference" => options.reference_tables.push(value()?),
            "--old-server" => options.old_server = true,
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    let faults = audit(&url, &options).await?;
    for fault in &faults {
        println!("{fault}");
    }
    println!("{} faults", faults.len());
    Ok(faults.len())
}
