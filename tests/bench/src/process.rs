//! Servers under measurement: processes of their own, killed when they are no longer needed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub struct Server {
    child: Child,
    pub endpoint: String,
    /// Where the file of a hub is; it goes with the process.
    _dir: Option<TempDir>,
}

fn free_port() -> u16 {
    // Two ports in a row: the second is for reports.
    loop {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        if port < u16::MAX && std::net::TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

impl Server {
    pub fn echo() -> Self {
        let endpoint = format!("tcp://127.0.0.1:{}", free_port());
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(own);
        command.args(["echo", "--endpoint", &endpoint]);
        Self::start(command, endpoint, None)
    }

    /// A hub on a new file below this directory.
    pub fn hub(program: &Path, below: &Path) -> Self {
        let dir = TempDir::with_prefix_in("dhub-bench", below).expect("a directory");
        Self::hub_on(program, dir)
    }

    fn hub_on(program: &Path, dir: TempDir) -> Self {
        let port = free_port();
        let mut command = Command::new(program);
        command.current_dir(dir.path()).env("XDG_RUNTIME_DIR", dir.path());
        command.args(["-f", "run.db", "--insecure", "-p", &port.to_string()]);
        Self::start(command, format!("tcp://127.0.0.1:{port}"), Some(dir))
    }

    fn start(mut command: Command, endpoint: String, dir: Option<TempDir>) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("the server's program");
        let server = Self { child, endpoint, _dir: dir };
        let address = server.endpoint.trim_start_matches("tcp://").to_owned();
        let begin = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{address} does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
