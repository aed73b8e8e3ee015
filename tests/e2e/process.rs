//! A child process: what it says is kept, and it does not outlive its test.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Output, eventually};

pub struct Process {
    what: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut what = program.rsplit('/').next().unwrap_or_default().to_owned();
        for arg in command.get_args() {
            what += &format!(" {}", arg.to_string_lossy());
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let stdout = Stream::read(child.stdout.take().expect("a pipe"));
        let stderr = Stream::read(child.stderr.take().expect("a pipe"));
        Self { what, child, stdout, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until standard error has this.
    #[track_caller]
    pub fn hear(&mut self, text: &str) {
        let what = format!("'{text}' from {}", self.what);
        eventually(&what, || {
            let ended = self.child.try_wait().expect("a child").is_some();
            let heard = self.stderr.text().contains(text);
            assert!(heard || !ended, "{} ended without '{text}': {}", self.what, self.stderr());
            heard.then_some(())
        });
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("{}: {error}", self.what));
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a child to kill");
        self.child.wait().expect("a child");
    }

    /// Of a kworker: the process that has the tasks, a child of the one that was started.
    pub fn pool(&self) -> Pid {
        let id = self.id();
        eventually("the pool below its guardian", || {
            let children =
                std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
            Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
        })
    }

    pub fn signal_pool(&self, signal: Signal) {
        kill_process(self.pool(), signal).unwrap_or_else(|error| panic!("{}: {error}", self.what));
    }

    /// Waits for the end.
    pub fn end(mut self) -> Output {
        let mut status: Option<ExitStatus> = None;
        let what = format!("the end of {}", self.what);
        eventually(&what, || {
            status = self.child.try_wait().expect("a child");
            status.map(drop)
        });
        let status = status.expect("an exit status");
        let (stdout, stderr) = (self.stdout.read_on(), self.stderr.read_on());
        let code = status.code();
        let what = match status.signal() {
            Some(signal) => format!("{} (signal {signal})", self.what),
            None => self.what.clone(),
        };
        Output { what, stdout, stderr, code }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}{}", self.what, self.stdout(), self.stderr());
        }
    }
}

/// Reads in the background, so that a full pipe stops nobody.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                sink.lock().expect("the output").extend_from_slice(&buffer[..n]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("the output")).into_owned()
    }

    /// A process that outlives the child may still hold the pipe; then what is there must do.
    fn read_on(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
            while !reader.is_finished() && std::time::Instant::now() < deadline {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        self.text()
    }
}
