//! `cargo xtask audit` as its own process: this test, run again.

#[expect(dead_code, reason = "its main is another program's")]
#[path = "../../examples/audit.rs"]
mod program;

use std::process::{Command, Output};

use multitenancy_core::Isolation;

use crate::stage::Stage;

const TEST: &str = "audit_program::audit_prints_each_fault_and_its_fix";
const ARGUMENTS: &str = "AUDIT_PROGRAM_ARGUMENTS";

/// Runs the program with these arguments, separated by spaces, and `DATABASE_URL`.
fn run(arguments: &str, url: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
        .env(ARGUMENTS, arguments)
        .env("DATABASE_URL", url)
        .output()
        .unwrap()
}

/// Its exit code and its whole output, which never contains a password.
fn said(output: &Output) -> (Option<i32>, String) {
    let said =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned()).concat();
    assert!(!said.contains("secret"), "{said}");
    (output.status.code(), said)
}

/// S10: 0 for a healthy database, 1 for an unsafe one; each fault is printed with the statement that fixes it. The
/// URL comes from the environment, where other users cannot see its password, or from an argument.
#[tokio::test]
async fn audit_prints_each_fault_and_its_fix() {
    if let Ok(arguments) = std::env::var(ARGUMENTS) {
        let arguments = arguments.split_whitespace().map(str::to_owned);
        std::process::exit(program::run(arguments, std::env::var("DATABASE_URL").ok()).await.into());
    }
    let mut stage = Stage::new().await;
    stage.tenant("acme", Isolation::Schema).await;
    let (role, url) = stage.login("").await;
    assert!(url.contains(":secret@"), "{url}");
    let options = format!("--reference countries --login {role}");
    for output in [run(&options, &url), run(&format!("{url} {options}"), "")] {
        let (code, said) = said(&output);
        assert!(code == Some(0) && said.contains(" 0 faults\n"), "{code:?} {said}");
    }

    stage
        .sql("CREATE TABLE tenants.forgotten (id int); GRANT TRUNCATE ON tenants.tasks TO multitenancy_app")
        .await;
    let faults = stage.store.audit().await.unwrap();
    assert_eq!(faults.len(), 2, "{faults:?}");
    let output = run(&options, &url);
    let (code, all) = said(&output);
    assert_eq!(code, Some(1), "{all}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("\n2 faults\n"), "{printed}");
    for fault in faults {
        assert!(printed.contains(&format!("{fault}\n")), "{fault} is not printed: {printed}");
        let fix = fault.fix.unwrap();
        assert!(printed.contains(&format!("; fix: {fix}\n")), "{printed}");
        stage.sql(fix).await;
    }
    assert_eq!(said(&run(&options, &url)).0, Some(0), "fixed");

    // A database that cannot be examined is not safe.
    for (arguments, url, why) in [
        ("", "", "DATABASE_URL names no database"),
        ("--login", &*url, "--login needs a value"),
        ("--verbose", &url, "unknown option --verbose"),
        ("", "postgres://app:secret@127.0.0.1:1/app", "the storage does not answer"),
        ("", "postgres://app:secret@127.0.0.1:port/app", "error: "),
        ("", "mysql://app:secret@127.0.0.1/app", "error: "),
    ] {
        let (code, said) = said(&run(arguments, url));
        assert!(code == Some(1) && said.contains(why), "{why}: {code:?} {said}");
    }
}
