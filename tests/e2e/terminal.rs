//! A program at a terminal of its own, and what the screen shows.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::eventually;

pub struct Terminal {
    child: Child,
    /// The end of the terminal that a person sits at.
    master: File,
    /// Its other end, so that it stays there after the program has ended.
    slave: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    pub fn start(command: &Command, columns: u16, lines: u16) -> Self {
        Self::start_with(command, &[], columns, lines)
    }

    /// With this in its environment besides.
    pub fn start_with(command: &Command, env: &[(&str, &str)], columns: u16, lines: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let path = ptsname(&master, Vec::new()).expect("its name");
        let slave = File::options()
            .read(true)
            .write(true)
            .open(OsStr::from_bytes(path.to_bytes()))
            .expect("its other end");
        tcsetwinsize(&master, size(columns, lines)).expect("a size");
        let end = || slave.try_clone().expect("a descriptor");
        // A session of its own, whose terminal this is: Ctrl-C and the like are signals there.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            session.current_dir(dir);
        }
        let child = session
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(env.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("setsid");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(lines, columns, 1_000)));
        let master = File::from(master);
        let mut output = master.try_clone().expect("a descriptor");
        let sink = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                sink.lock().expect("the screen").process(&buffer[..n]);
            }
        });
        Self { child, master, slave, screen }
    }

    /// What a person sees.
    pub fn text(&self) -> String {
        self.look(|screen| screen.contents())
    }

    fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self.screen.lock().expect("the screen").screen())
    }

    /// Waits until the screen has this.
    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        self.becomes(text, |screen| screen.contains(text))
    }

    #[track_caller]
    pub fn becomes(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let what = format!("'{what}' on the screen");
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(&what, || {
                last = self.text();
                is(&last).then_some(())
            });
        }));
        assert!(found.is_ok(), "{what}; it shows:\n{last}");
        last
    }

    pub fn has_alternate_screen(&self) -> bool {
        self.look(|screen| screen.alternate_screen())
    }

    pub fn hides_cursor(&self) -> bool {
        self.look(|screen| screen.hide_cursor())
    }

    /// Is some text on the screen coloured, bold or the like?
    pub fn has_styles(&self) -> bool {
        self.has_cell(|cell| is_coloured(cell) || cell.bold() || cell.dim() || cell.underline())
    }

    pub fn has_colours(&self) -> bool {
        self.has_cell(|cell| is_coloured(cell) || cell.dim())
    }

    fn has_cell(&self, is: impl Fn(&vt100::Cell) -> bool) -> bool {
        self.look(|screen| {
            let (lines, columns) = screen.size();
            (0..lines)
                .any(|line| (0..columns).any(|column| screen.cell(line, column).is_some_and(&is)))
        })
    }

    /// Is what is typed shown, line by line, as a shell wants it?
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.slave).expect("a terminal").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Waits until a shell could go on here: on its own screen, with a cursor, what is typed is shown.
    #[track_caller]
    pub fn is_tidy(&self) {
        eventually("a tidy terminal", || {
            let tidy = self.echoes() && !self.has_alternate_screen() && !self.hides_cursor();
            tidy.then_some(())
        });
    }

    pub fn type_keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("a terminal");
    }

    pub fn resize(&self, columns: u16, lines: u16) {
        self.screen.lock().expect("the screen").screen_mut().set_size(lines, columns);
        tcsetwinsize(&self.master, size(columns, lines)).expect("a size");
    }

    /// Of the program.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a process");
    }

    /// As /proc tells it: T is stopped.
    pub fn process_state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("a process");
        let rest = stat.rsplit(')').next().unwrap_or_default().trim_start();
        rest.chars().next().expect("a state")
    }

    /// Waits for the end: an exit code, or the signal, negative.
    pub fn end(&mut self) -> i32 {
        let status =
            eventually("the end at a terminal", || self.child.try_wait().expect("a child"));
        status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
    }
}

fn is_coloured(cell: &vt100::Cell) -> bool {
    [cell.fgcolor(), cell.bgcolor()].iter().any(|&colour| colour != vt100::Color::Default)
}

fn size(columns: u16, lines: u16) -> Winsize {
    Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the screen:\n{}", self.text());
        }
    }
}
