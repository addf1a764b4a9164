//! Looks at a database for what would let one tenant at another's rows: `cargo xtask audit <URL>`.

use std::process::ExitCode;

use multitenancy_sqlx::{AuditOptions, audit};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url =
        arguments.next().ok_or("usage: audit <URL> [--login ROLE] [--reference TABLE]… [--old-server]")?;
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
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
