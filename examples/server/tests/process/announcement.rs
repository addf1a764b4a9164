use std::process::{Command, Stdio};

use crate::program::{Program, command};

/// Runs the printed commands in a shell. Needs curl.
#[test]
fn announced_commands_work() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path(), &[]);
    let (_, lines) = program.output.split_once("Try it in another terminal:").unwrap();
    let (lines, _) = lines.split_once("To see every request").unwrap();
    let shell = Command::new("sh").args(["-u", "-c", lines]).output().unwrap();
    let (output, errors) =
        (String::from_utf8(shell.stdout).unwrap(), String::from_utf8(shell.stderr).unwrap());
    assert!(output.contains("\"slug\":\"acme\""), "{lines}\n{output}\n{errors}");
}

/// The server keeps running when its output is closed.
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

/// The demo ignores the environment, and ends without an error when its output is closed.
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
    let (output, errors) = demo("");
    assert!(output.contains("The walkthrough is complete"), "{output}{errors}");
    let (output, errors) = demo("| head -n 3");
    assert_eq!((output.lines().count(), errors.as_str()), (3, ""));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "the demo leaves no file");
}
