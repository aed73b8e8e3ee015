//! The processes of the tasks: started, listened to, stopped and reaped.
//!
//! Invariants: each task has a process group of its own, and stopping means the whole group.
//! Of its output only the last bytes are kept. Nothing here blocks: pipes are read when the poll
//! says so, and an ended task is not held up by a grandchild that keeps the pipe open.
//!
//! There is deliberately no hook between fork and exec: without one the standard library uses
//! posix_spawn, which does not copy the page tables. The price: a kworker that is killed by
//! SIGKILL leaves its processes behind; the hub fences their outcomes.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dhub_proto::wire::{Attempt, Outcome, Result as Verdict};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{
    Pid, RawPid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getrlimit, kill_process_group,
    setrlimit, test_kill_process_group, wait,
};

use crate::tail::Tail;

/// Between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(5);
/// How often to look whether a stopped group is empty, once its first process is gone.
const LINGER: Duration = Duration::from_millis(50);
const READ_BYTES: usize = 64 * 1024;
/// Reads from the pipe of a task that ended: more than a pipe holds, but not for ever.
const LAST_READS_MAX: usize = 16;

/// Open files besides the one pipe of each task: sockets, and those of a start.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit of open files if the slots need it; an error if the hard one forbids it.
pub fn make_room(slots: usize) -> Result<(), String> {
    let needed = slots as u64 + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = maximum.filter(|&maximum| maximum < needed) {
        return Err(format!(
            "{slots} slots need {needed} open files, but only {maximum} are allowed (ulimit -n)"
        ));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .map_err(|error| format!("{slots} slots need {needed} open files (ulimit -n): {error}"))
}

/// Makes orphans of tasks children of this process. Whoever is process 1 may be slow to bury them,
/// or never do it, as in many containers; until then a stopped group does not look empty.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::debug!(%error, "cannot adopt orphans");
    }
}

/// Why a process has to go.
#[derive(Clone, Copy, Debug)]
enum Why {
    TimeLimit(Duration),
    /// The attempt is not ours any more; its outcome interests nobody.
    Unwanted,
}

#[derive(Debug)]
struct Stop {
    why: Why,
    kill_at: Instant,
}

#[derive(Debug)]
struct Process {
    attempt: Attempt,
    pipe: Option<PipeReader>,
    tail: Tail,
    time_limit: Option<Duration>,
    stop: Option<Stop>,
    /// The first process has ended, others of its group are still given time.
    status: Option<WaitStatus>,
    timer: Option<Instant>,
}

/// A task whose processes are gone; without an outcome if that interests nobody.
#[derive(Debug)]
pub struct Ended {
    pub name: String,
    pub outcome: Option<Outcome>,
}

/// All processes of this pool, by the number of their group.
pub struct Processes {
    tail_bytes: usize,
    alive: HashMap<Pid, Process>,
    names: HashMap<String, Pid>,
    timers: BTreeSet<(Instant, RawPid)>,
    ended: Vec<Ended>,
    buffer: Box<[u8]>,
}

impl Processes {
    pub fn new(tail_bytes: usize) -> Self {
        Self {
            tail_bytes,
            alive: HashMap::new(),
            names: HashMap::new(),
            timers: BTreeSet::new(),
            ended: Vec::new(),
            buffer: vec![0; READ_BYTES].into(),
        }
    }

    pub fn start(
        &mut self,
        mut command: Command,
        attempt: Attempt,
        time_limit: Option<Duration>,
        now: Instant,
    ) -> io::Result<()> {
        let (read, write) = io::pipe()?;
        fcntl_setfl(&read, OFlags::NONBLOCK)?;
        command.stdin(Stdio::null()).stdout(write.try_clone()?).stderr(write).process_group(0);
        let child = command.spawn()?;
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            return Err(io::Error::other("the system gave a process number that is none"));
        };
        // The number was free, so the group that once had it is empty.
        if self.alive.contains_key(&pid) {
            self.finish(pid);
        }
        self.names.insert(attempt.name.clone(), pid);
        let process = Process {
            attempt,
            pipe: Some(read),
            tail: Tail::new(self.tail_bytes),
            time_limit,
            stop: None,
            status: None,
            timer: None,
        };
        self.alive.insert(pid, process);
        if let Some(limit) = time_limit {
            self.set_timer(pid, now.checked_add(limit));
        }
        Ok(())
    }

    /// Asks the task's processes to stop; after the grace they are killed.
    pub fn stop(&mut self, name: &str, now: Instant) {
        if let Some(&pid) = self.names.get(name) {
            self.stop_group(pid, Why::Unwanted, now);
        }
    }

    /// Kills at once.
    pub fn kill(&mut self, name: &str, now: Instant) {
        if let Some(&pid) = self.names.get(name) {
            self.kill_group(pid, now);
        }
    }

    pub fn kill_all(&mut self, now: Instant) {
        let pids: Vec<Pid> = self.alive.keys().copied().collect();
        for pid in pids {
            self.kill_group(pid, now);
        }
    }

    /// The pipes that can have something to read.
    pub fn pipes(&self) -> impl Iterator<Item = (Pid, RawFd)> {
        self.alive
            .iter()
            .filter_map(|(&pid, process)| Some((pid, process.pipe.as_ref()?.as_raw_fd())))
    }

    /// Reads once; whoever writes without end must not starve the others.
    pub fn read(&mut self, pid: Pid) {
        if let Some(process) = self.alive.get_mut(&pid) {
            process.read(&mut self.buffer);
        }
    }

    /// Takes the exit status of everything that has ended.
    pub fn reap(&mut self, now: Instant) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.reaped(pid, status, now),
                Err(rustix::io::Errno::INTR) => {}
                // Nothing ended, or there are no children.
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Time limits, and the patience with groups that were asked to stop.
    pub fn tick(&mut self, now: Instant) {
        while let Some(&(at, pid)) = self.timers.first() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            if let Some(pid) = Pid::from_raw(pid) {
                self.timer_over(pid, now);
            }
        }
    }

    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    fn timer_over(&mut self, pid: Pid, now: Instant) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        process.timer = None;
        let gone = process.status.is_some();
        match (&process.stop, process.time_limit) {
            (None, Some(limit)) => self.stop_group(pid, Why::TimeLimit(limit), now),
            (None, None) => {}
            (Some(stop), _) if stop.kill_at <= now => {
                signal(pid, Signal::KILL);
                if gone {
                    self.finish(pid);
                }
            }
            (Some(_), _) if gone => self.linger(pid, now),
            (Some(stop), _) => {
                let kill_at = stop.kill_at;
                self.set_timer(pid, Some(kill_at));
            }
        }
    }

    fn reaped(&mut self, pid: Pid, status: WaitStatus, now: Instant) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        process.status = Some(status);
        match &process.stop {
            // What it left running in the background is its own affair.
            None => self.finish(pid),
            Some(stop) if stop.kill_at <= now => self.finish(pid),
            // A shell dies at once; the program that it ran may still be saving its work.
            Some(_) => self.linger(pid, now),
        }
    }

    fn linger(&mut self, pid: Pid, now: Instant) {
        let Some(Process { stop: Some(stop), .. }) = self.alive.get(&pid) else { return };
        if test_kill_process_group(pid).is_err() {
            self.finish(pid);
        } else {
            let at = stop.kill_at.min(now + LINGER);
            self.set_timer(pid, Some(at));
        }
    }

    fn stop_group(&mut self, pid: Pid, why: Why, now: Instant) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        match &mut process.stop {
            // The grace runs already.
            Some(stop) => stop.why = why,
            None => {
                process.stop = Some(Stop { why, kill_at: now + GRACE });
                signal(pid, Signal::TERM);
                // Who is stopped cannot hear it.
                signal(pid, Signal::CONT);
                self.set_timer(pid, Some(now + GRACE));
            }
        }
    }

    fn kill_group(&mut self, pid: Pid, now: Instant) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        process.stop = Some(Stop { why: Why::Unwanted, kill_at: now });
        signal(pid, Signal::KILL);
        if process.status.is_some() {
            self.finish(pid);
        }
    }

    fn set_timer(&mut self, pid: Pid, at: Option<Instant>) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        if let Some(old) = process.timer.take() {
            self.timers.remove(&(old, pid.as_raw_pid()));
        }
        process.timer = at;
        if let Some(at) = at {
            self.timers.insert((at, pid.as_raw_pid()));
        }
    }

    fn finish(&mut self, pid: Pid) {
        self.set_timer(pid, None);
        let Some(mut process) = self.alive.remove(&pid) else { return };
        if self.names.get(&process.attempt.name) == Some(&pid) {
            self.names.remove(&process.attempt.name);
        }
        for _ in 0..LAST_READS_MAX {
            if !process.read(&mut self.buffer) {
                break;
            }
        }
        self.ended.push(process.into_ended());
    }
}

/// However this ends: nothing goes on running that nobody looks after.
impl Drop for Processes {
    fn drop(&mut self) {
        self.alive.keys().for_each(|&pid| signal(pid, Signal::KILL));
    }
}

impl Process {
    /// Whether there may be more.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        match pipe.read(buffer) {
            Ok(0) => {
                self.pipe = None;
                false
            }
            Ok(bytes) => {
                self.tail.push(&buffer[..bytes]);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                self.pipe = None;
                false
            }
        }
    }

    fn into_ended(self) -> Ended {
        let why = self.stop.map(|stop| stop.why);
        let exit_code = self.status.map_or(-1, exit_code);
        let name = self.attempt.name.clone();
        let reason = match why {
            Some(Why::Unwanted) => return Ended { name, outcome: None },
            Some(Why::TimeLimit(limit)) => {
                format!("timed out after {}", humantime::format_duration(limit))
            }
            // The exit code says it.
            None => String::new(),
        };
        let done = exit_code == 0 && reason.is_empty();
        let result = if done { Verdict::Done } else { Verdict::Failed };
        let outcome = Outcome {
            name: self.attempt.name,
            attempt: self.attempt.attempt,
            result: result.into(),
            exit_code,
            reason,
            output: self.tail.into_bytes(),
            ..Outcome::default()
        };
        Ended { name, outcome: Some(outcome) }
    }
}

/// As shells tell it: 128 + signal for who was killed.
fn exit_code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => -1,
    }
}

/// A group that is gone already is fine.
fn signal(group: Pid, signal: Signal) {
    if let Err(error) = kill_process_group(group, signal) {
        tracing::debug!(?group, ?signal, %error, "cannot signal");
    }
}

#[cfg(test)]
pub mod tests;
