use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::program::{Program, reply};

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The server closes a connection that sends its head byte by byte, that sends nothing, or that is idle after a reply. It
/// serves a prompt client meanwhile.
#[test]
fn server_closes_slow_heads_after_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path(), &[("HEADER_READ_TIMEOUT_SECONDS", "2")]);
    for begun in ["", "G", "PRI * HTTP/2.0\r\n", "GET /health/live HTTP/1.1\r\nhost: loc", LIVE] {
        let start = Instant::now();
        let mut slow = program.connect();
        slow.write_all(begun.as_bytes()).unwrap();
        let answer = reply(&mut slow);
        assert!(start.elapsed() < Duration::from_secs(6), "{begun:?}: {:?}", start.elapsed());
        if begun == LIVE {
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        if !begun.starts_with("PRI") {
            assert!(start.elapsed() > Duration::from_secs(1), "{begun:?}: closed before the bound");
        }
    }
    // Each byte arrives in time, but the whole head does not.
    let mut trickling = program.connect();
    let start = Instant::now();
    for byte in "GET /health/live HTTP/1.1\r\nx-long: ".bytes().chain(std::iter::repeat_n(b'x', 200)) {
        if trickling.write_all(&[byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    let mut prompt = program.connect();
    assert!(answered(&mut prompt));
}

/// A connection above the limit waits until another one is closed.
#[test]
fn server_bounds_open_connections() {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path(), &[("MAX_CONNECTIONS", "2")]);
    let mut first = program.connect();
    let mut second = program.connect();
    assert!(answered(&mut first) && answered(&mut second));
    let mut third = program.connect();
    third.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(!answered(&mut third), "a third connection is served");
    drop(first);
    third.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(has_reply(&mut third));
}

fn answered(stream: &mut TcpStream) -> bool {
    stream.write_all(LIVE.as_bytes()).unwrap();
    has_reply(stream)
}

fn has_reply(stream: &mut TcpStream) -> bool {
    let mut start = [0; 12];
    let read = stream.read_exact(&mut start).is_ok() && &start == b"HTTP/1.1 200";
    // Reads the rest of the reply, which is small, so that the next call reads the next reply.
    let mut rest = [0; 4096];
    read && stream.read(&mut rest).is_ok()
}
