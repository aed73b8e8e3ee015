//! A program to page through what is longer than the screen, as git and journalctl use it.

use std::io::{self, IsTerminal, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Ends by itself if everything fits on the screen, keeps colours, leaves the text there.
const LESS: &str = "FRX";

pub struct Pager {
    child: Child,
    /// Taken when all has been written.
    stdin: Option<ChildStdin>,
}

impl Pager {
    /// None where nobody looks, where none is wanted (PAGER=cat, or empty), and where there is none.
    pub fn start() -> Option<Self> {
        if !io::stdout().is_terminal() || std::env::var_os("TERM").is_none_or(|it| it == "dumb") {
            return None;
        }
        let program = ["DHUB_PAGER", "PAGER"].iter().find_map(|name| std::env::var(name).ok());
        let program = program.unwrap_or_else(|| "less".into());
        if program.trim().is_empty() || program.trim() == "cat" {
            return None;
        }
        let mut command = command(&program)?;
        if std::env::var_os("LESS").is_none() {
            command.env("LESS", LESS);
        }
        let mut child = command.stdin(Stdio::piped()).spawn().ok()?;
        let stdin = child.stdin.take();
        // Ctrl-C is the pager's: it ends what it does, not itself, and the terminal stays its own.
        let _ =
            signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::<AtomicBool>::default());
        Some(Self { child, stdin })
    }

    /// `BrokenPipe`: who looks has seen enough.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(text.as_bytes()),
            None => Ok(()),
        }
    }

    /// Waits until who looks has seen enough.
    pub fn end(mut self) {
        self.wait();
    }

    fn wait(&mut self) {
        self.stdin = None;
        // It is gone, one way or the other.
        let _ = self.child.wait();
    }
}

/// It may have options, as in PAGER='less -S', or be a line for the shell.
fn command(program: &str) -> Option<Command> {
    if program.contains(['|', '&', ';', '<', '>', '$', '`']) {
        let mut command = Command::new("sh");
        command.args(["-c", program]);
        return Some(command);
    }
    let words = shlex::split(program)?;
    let (name, options) = words.split_first()?;
    let mut command = Command::new(name);
    command.args(options);
    Some(command)
}

/// Also when the list breaks off: nothing is said while the pager has the screen.
impl Drop for Pager {
    fn drop(&mut self) {
        self.wait();
    }
}
