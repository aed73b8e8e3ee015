//! The guardian: the process that people start, and that does nothing but look after the pool.
//!
//! The pool is its child, the same program in a process group of its own, so that a terminal's
//! Ctrl-C reaches it once: from here. Whichever of the two is killed, the other one notices, and no
//! process of a task is left: both are subreapers. The terminal is the guardian's alone. The pool's
//! standard input is a pipe that only the guardian holds; its end says that the guardian is gone. It
//! is not a signal (PDEATHSIG) because that would kill the pool before it has killed its tasks and
//! given them back.
//!
//! What cannot be helped: both killed at the same time.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, id};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, ffi::CStr};

use dhub_proto::signal::is_ignored;
use dhub_proto::{finish_saying, say, say_in_background};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{
    Pid, RawPid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, kill_process, setrlimit, wait,
};
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::children::{Children, adopt_orphans};
use crate::signal::die_of;

/// Has the guardian's process number, for the pool alone: tasks do not see it.
pub const VARIABLE: &str = "DHUB_GUARDIAN";
/// Another name than that of the program: who signals kworker by its name means the pool.
const THREAD_NAME: &CStr = c"pool-guardian";
/// How long to wait for killed processes; then they hang in the kernel.
const BURIAL: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What the pool knows of its guardian.
#[derive(Debug)]
pub struct Guardian {
    pid: u32,
}

impl Guardian {
    /// If this process is a pool.
    pub fn of_this() -> Option<Self> {
        let pid = env::var(VARIABLE).ok()?.parse().ok()?;
        Some(Self { pid })
    }

    /// The process that people started.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Readable when the guardian is gone.
    pub fn fd(&self) -> RawFd {
        io::stdin().as_raw_fd()
    }

    pub fn is_gone(&self) -> bool {
        // It never writes.
        matches!(rustix::io::read(io::stdin(), &mut [0_u8; 1]), Ok(0))
    }
}

/// Starts the pool and looks after it, until it ends; ends as it does.
pub fn guard() -> io::Result<ExitCode> {
    let mut signals = Signals::new([SIGCHLD, SIGCONT, SIGINT, SIGTERM])?;
    // nohup means it.
    for signal in [SIGHUP, SIGTSTP].into_iter().filter(|&signal| !is_ignored(signal)) {
        signals.add_signal(signal)?;
    }
    adopt_orphans();
    let children = Children::new();
    // A shell may have had children before it became this process; they are not ours to kill.
    let before: BTreeSet<RawPid> = children.pids().into_iter().map(raw).collect();
    let (pipe, _open_while_this_lives) = io::pipe()?;
    fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
    let mut args = env::args_os();
    let mut command = Command::new(env::current_exe()?);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    let pool =
        command.args(args).env(VARIABLE, id().to_string()).stdin(pipe).process_group(0).spawn()?;
    // Whoever waits for this process does not wait for who reads what it says.
    let _speaking = say_in_background().ok();
    if let Err(error) = rustix::thread::set_name(THREAD_NAME) {
        tracing::debug!(%error, "no other name");
    }
    let status = watch(Pid::from_child(&pool), &mut signals);
    let left = bury(&children, &before);
    if let Some(signal) = status.terminating_signal() {
        if left > 0 || signal == Signal::KILL.as_raw() {
            say(format_args!(
                "kworker: the pool was killed by signal {signal}; processes of its tasks, killed too: {left}"
            ));
        }
        finish_saying();
        // The pool has written it already, if anybody wants one.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        die_of(signal);
    }
    // Exit codes are bytes.
    Ok(ExitCode::from(status.exit_status().unwrap_or_default() as u8))
}

/// Passes signals on until the pool has ended.
fn watch(pool: Pid, signals: &mut Signals) -> WaitStatus {
    let pass = |signal| {
        if let Err(error) = kill_process(pool, signal) {
            tracing::debug!(?signal, %error, "not passed on");
        }
    };
    loop {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == pool {
                return status;
            }
        }
        for signal in signals.wait() {
            match signal {
                SIGCHLD => {}
                SIGTSTP => {
                    pass(Signal::STOP);
                    let _ = kill_process(rustix::process::getpid(), Signal::STOP);
                }
                SIGCONT => pass(Signal::CONT),
                stop => Signal::from_named_raw(stop).into_iter().for_each(pass),
            }
        }
    }
}

/// Kills what was inherited, until nothing is left: each that dies may leave others. Returns how many.
fn bury(children: &Children, before: &BTreeSet<RawPid>) -> usize {
    let until = Instant::now() + BURIAL;
    let (mut killed, mut beyond) = (BTreeSet::new(), BTreeSet::new());
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        let mut left = children.pids();
        left.retain(|&pid| !before.contains(&raw(pid)) && !beyond.contains(&raw(pid)));
        if left.is_empty() || until < Instant::now() {
            return killed.len();
        }
        for pid in left {
            // It has changed its user, and no patience helps.
            if kill_process(pid, Signal::KILL) == Err(Errno::PERM) {
                let pid = raw(pid);
                say(format_args!(
                    "kworker: process {pid} of another user goes on: it cannot be ended from here"
                ));
                beyond.insert(pid);
            } else {
                killed.insert(raw(pid));
            }
        }
        sleep(LOOK_AGAIN);
    }
}

fn raw(pid: Pid) -> RawPid {
    pid.as_raw_nonzero().get()
}
