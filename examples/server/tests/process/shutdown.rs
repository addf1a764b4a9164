use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::program::{Program, head, reply};

const REGISTER: &str = "/api/v1/auth/register";
pub const LOG_IN: &str = "/api/v1/auth/login";
/// Enough for a busy machine, and less than the 30 s that the server waits for requests.
pub const BOUND: Duration = Duration::from_secs(15);
pub const ADA: &str = r#"{"email":"ada@example.com","password":"correct horse battery staple"}"#;

/// Sends a registration without its last byte. The reply `100 Continue` shows that the server handles it.
pub fn half_sent(program: &Program) -> TcpStream {
    let mut stream = program.connect();
    let head = head(REGISTER, ADA.len()).replacen("\r\n", "\r\nexpect: 100-continue\r\n", 1);
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&ADA.as_bytes()[..ADA.len() - 1]).unwrap();
    stream
}

/// Waits until the server accepts no new connection: it has received the signal.
pub fn wait_until_closed(program: &Program) {
    let start = Instant::now();
    while TcpStream::connect(program.address).is_ok() {
        assert!(start.elapsed() < BOUND, "new connections are still accepted");
        sleep(Duration::from_millis(10));
    }
}

/// Whether the control file exists and has no write-ahead log beside it.
fn is_whole(directory: &Path) -> bool {
    directory.join("data/control.db").exists() && !directory.join("data/control.db-wal").exists()
}

/// After SIGTERM or Ctrl-C the running request finishes, no new one begins, the files are complete, the process exits
/// with 0, and the next process has the data.
#[test]
fn shutdown_finishes_running_requests() {
    for signal in ["TERM", "INT"] {
        let directory = tempfile::tempdir().unwrap();
        let mut program = Program::start(directory.path(), &[]);
        let mut slow = half_sent(&program);
        program.signal(signal);
        wait_until_closed(&program);
        slow.write_all(&ADA.as_bytes()[ADA.len() - 1..]).unwrap();
        let registered = reply(&mut slow);
        assert!(registered.starts_with("HTTP/1.1 201 "), "{registered}");
        assert_eq!(program.ended(BOUND).code(), Some(0), "{signal}");
        assert!(is_whole(directory.path()));

        let program = Program::start(directory.path(), &[]);
        assert!(program.post(LOG_IN, ADA).starts_with("HTTP/1.1 200 "));
    }
}

/// The shutdown does not wait for an idle connection.
#[test]
fn shutdown_ignores_idle_connections() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path(), &[]);
    let _silent = program.connect();
    sleep(Duration::from_millis(200));
    program.signal("TERM");
    assert_eq!(program.ended(BOUND).code(), Some(0));
}

/// A request that does not finish within the bound is cut off and writes nothing.
#[test]
fn shutdown_cuts_off_requests_at_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path(), &[("SHUTDOWN_TIMEOUT_SECONDS", "2")]);
    let mut slow = half_sent(&program);
    let start = Instant::now();
    program.signal("TERM");
    assert_eq!(program.ended(BOUND).code(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(2), "cut off before the bound");
    assert_eq!(reply(&mut slow), "");
    assert!(is_whole(directory.path()));
    let program = Program::start(directory.path(), &[]);
    assert!(program.post(LOG_IN, ADA).starts_with("HTTP/1.1 401 "));
}

/// The default bound is 30 s; a second signal ends the server before it.
#[test]
fn second_signal_stops_the_server_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path(), &[]);
    let mut slow = half_sent(&program);
    program.signal("INT");
    wait_until_closed(&program);
    let start = Instant::now();
    program.signal("INT");
    assert_eq!(program.ended(BOUND).code(), Some(0));
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert_eq!(reply(&mut slow), "");
    assert!(is_whole(directory.path()));
}
