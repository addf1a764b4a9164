use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The server's command on a data directory, with an otherwise empty environment.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-server"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("DATABASE_URL", format!("sqlite:{}", directory.join("data").display()))
        .env("SERVER_PORT", "0")
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

/// A running server. Its drop kills it.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    /// What the server printed until it was ready.
    pub output: String,
    _out: BufReader<ChildStdout>,
}

impl Program {
    pub fn start(directory: &Path, variables: &[(&str, &str)]) -> Self {
        Self::run(command(directory).envs(variables.iter().copied()))
    }

    /// Starts `command` and waits until the server is ready.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut output = String::new();
        while !output.contains("--demo") {
            assert!(out.read_line(&mut output).unwrap() > 0, "the server ended: {output}");
        }
        let (_, address) = output.split_once("Serving on http://").unwrap();
        let address = address.lines().next().unwrap().parse().unwrap();
        Self { child, address, output, _out: out }
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until the server ends. Panics after `bound`.
    pub fn ended(&mut self, bound: Duration) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < bound {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server still runs after {bound:?}");
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends a request on a new connection. Returns the whole reply.
    pub fn post(&self, path: &str, body: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "{}{body}", head(path, body.len())).unwrap();
        reply(&mut stream)
    }
}

/// The head of a request that closes its connection.
pub fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
}

/// Reads until the server closes the connection.
pub fn reply(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the reply counts as a close.
    let _closed = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

impl Drop for Program {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}
