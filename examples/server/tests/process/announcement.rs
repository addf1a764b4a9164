use std::process::{Command, Stdio};

use crate::program::{Program, command};

/// The lines to try work as they stand, pasted into a shell one after the other. Needs curl, as a newcomer does.
#[test]
fn announced_commands_work() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path(), &[]);
    let (_, lines) = program.said.split_once("Try it:").unwrap();
    let (lines, _) = lines.split_once("The whole walkthrough").unwrap();
    let shell = Command::new("sh").args(["-u", "-c", lines]).output().unwrap();
    let (said, complaints) =
        (String::from_utf8(shell.stdout).unwrap(), String::from_utf8(shell.stderr).unwrap());
    assert!(said.contains("\"slug\":\"acme\""), "{lines}\n{said}\n{complaints}");
}

/// Whose reader has gone serves on: nothing that is printed ends it.
#[test]
fn server_survives_a_closed_output() {
    let directory = tempfile::tempdir().unwrap();
    let (out, written) = std::io::pipe().unwrap();
    drop(out);
    let mut child = command(directory.path())
        .stdout(written.try_clone().unwrap())
        .stderr(written)
        .env("LOG_LEVEL", "debug")
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3));
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ended.is_none(), "{ended:?}");
}

/// The demonstration takes nothing from the environment, and ends without complaint when its reader goes.
#[test]
fn demo_ignores_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let demo = |shell: &str| {
        let program = env!("CARGO_BIN_EXE_example-server");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("\"$0\" --demo {shell}"), program]).current_dir(directory.path());
        for (name, value) in [
            ("JWT_SECRET", "short"),
            ("DATABASE_URL", "mysql://nowhere"),
            ("SERVER_HOST", "nowhere.invalid"),
            ("CONFIG_FILE", "nowhere.toml"),
            ("API_PREFIX", "wrong"),
            ("LOG_LEVEL", "nope"),
        ] {
            command.env(name, value);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (said, complaints) = demo("");
    assert!(said.contains("The walkthrough went as it should"), "{said}{complaints}");
    let (said, complaints) = demo("| head -n 3");
    assert_eq!((said.lines().count(), complaints.as_str()), (3, ""));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it leaves nothing behind");
}
