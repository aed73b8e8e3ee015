//! The processes of the tasks: started, listened to, stopped and reaped.
//!
//! Invariants: each task has a process group of its own, and stopping means the whole group, and
//! what has left it. A task has ended when nothing of it runs any more: what its first process leaves
//! behind is given a moment to end by itself, asked to, then killed. Of its output only the last
//! bytes are kept in memory. Nothing here blocks: pipes are read when the poll says so.
//!
//! There is deliberately no hook between fork and exec: without one the standard library uses
//! posix_spawn, which does not copy the page tables. That this process is killed is the business of
//! its guardian.

mod orphan;
mod room;
mod sink;
mod slots;
mod stop;
mod tail;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dhub_proto::span::exact;
use dhub_proto::wire::{Attempt, Outcome, Result as Verdict};
use rustix::event::epoll;
use rustix::process::{
    Pid, RawPid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getrlimit, setrlimit, wait,
};

use orphan::{Orphans, Traces};
pub use room::make_room;
pub use sink::Output;
use sink::Sink;
use slots::Slots;
pub use stop::GRACE;
use stop::{Stop, Why, signal};

/// Said of a task that cannot be ended.
const LET_GO: &str = ", and goes on: it has changed its user";
/// Pipes that are read in one go.
const READABLE_MAX: usize = 256;

#[derive(Debug)]
struct Process {
    attempt: Attempt,
    slot: u32,
    /// Counts the starts.
    serial: u64,
    sink: Sink,
    time_limit: Option<Duration>,
    stop: Option<Stop>,
    /// The first process has ended, others are still given time.
    status: Option<WaitStatus>,
    timer: Option<Instant>,
    /// Others that it left behind, and that had to be ended.
    left_behind: HashSet<Pid>,
    /// Something of it goes on, and cannot be ended.
    is_let_go: bool,
}

/// A task whose processes are gone; without an outcome if that interests nobody.
#[derive(Debug)]
pub struct Ended {
    pub name: String,
    pub outcome: Option<Outcome>,
}

/// What to start.
pub struct Start {
    pub command: Command,
    pub attempt: Attempt,
    pub time_limit: Option<Duration>,
    pub stdin: Stdio,
    pub output: Output,
}

/// All processes of this pool, by the number of their group.
pub struct Processes {
    tail_bytes: usize,
    /// How large core dumps of tasks may be, if that is another limit than this process has.
    core_limit: Option<Rlimit>,
    alive: HashMap<Pid, Process>,
    names: HashMap<String, Pid>,
    slots: Slots,
    serial: u64,
    /// Tasks that have ended, and something of them has not.
    lingering: BTreeSet<RawPid>,
    orphans: Orphans,
    timers: BTreeSet<(Instant, RawPid)>,
    ended: Vec<Ended>,
    /// All pipes.
    readable: OwnedFd,
    buffer: Box<[u8]>,
}

impl Processes {
    pub fn new(tail_bytes: usize, core_limit: Option<Rlimit>) -> io::Result<Self> {
        Ok(Self {
            tail_bytes,
            core_limit,
            alive: HashMap::new(),
            names: HashMap::new(),
            slots: Slots::default(),
            serial: 0,
            lingering: BTreeSet::new(),
            orphans: Orphans::new(),
            timers: BTreeSet::new(),
            ended: Vec::new(),
            readable: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            buffer: sink::buffer(),
        })
    }

    /// The slot of the next task to start.
    pub fn free_slot(&self) -> u32 {
        self.slots.lowest()
    }

    pub fn start(&mut self, start: Start, now: Instant) -> io::Result<()> {
        let Start { mut command, attempt, time_limit, stdin, output } = start;
        let ([stdout, stderr], sink) = output.open(self.tail_bytes)?;
        command.stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
        let child = self.spawn(&mut command)?;
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            return Err(io::Error::other("the system gave a process number that is none"));
        };
        // The number was free, so the group that once had it is empty.
        if self.alive.contains_key(&pid) {
            self.finish(pid);
        }
        if let Some(pipe) = sink.pipe() {
            let data = epoll::EventData::new_u64(pid.as_raw_nonzero().get() as u64);
            if let Err(error) = epoll::add(&self.readable, pipe, data, epoll::EventFlags::IN) {
                // Nobody would read: it must not wait for ever when the pipe is full.
                signal(pid, Signal::KILL);
                tracing::error!(%error, "cannot watch the output of a task");
            }
        }
        self.names.insert(attempt.name.clone(), pid);
        self.serial += 1;
        let process = Process {
            attempt,
            slot: self.slots.take_lowest(),
            serial: self.serial,
            sink,
            time_limit,
            stop: None,
            status: None,
            timer: None,
            left_behind: HashSet::new(),
            is_let_go: false,
        };
        self.alive.insert(pid, process);
        if let Some(limit) = time_limit {
            self.set_timer(pid, now.checked_add(limit));
        }
        Ok(())
    }

    /// With the limit of core dumps that tasks have. It is this process's own for that moment, which does
    /// no harm: nothing is dumped of it anyway.
    fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let Some(limit) = self.core_limit else { return command.spawn() };
        let own = getrlimit(Resource::Core);
        setrlimit(Resource::Core, limit)?;
        let child = command.spawn();
        setrlimit(Resource::Core, own)?;
        child
    }

    /// Asks the task's processes to stop; after the grace they are killed.
    pub fn stop(&mut self, name: &str, now: Instant) {
        if let Some(&pid) = self.names.get(name) {
            self.stop_task(pid, Why::Unwanted, now);
        }
    }

    /// Kills at once.
    pub fn kill(&mut self, name: &str, now: Instant) {
        if let Some(&pid) = self.names.get(name) {
            self.kill_task(pid, now);
        }
    }

    pub fn kill_all(&mut self, now: Instant) {
        let pids: Vec<Pid> = self.alive.keys().copied().collect();
        self.look_for_orphans();
        for pid in pids {
            self.kill_task(pid, now);
        }
        self.orphans.kill_all();
    }

    /// Readable when the output of some task is.
    pub fn fd(&self) -> RawFd {
        self.readable.as_raw_fd()
    }

    /// Reads once from each pipe that has something; whoever writes without end must not starve the
    /// others.
    pub fn read(&mut self) {
        let mut events = Vec::with_capacity(READABLE_MAX);
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let spare = rustix::buffer::spare_capacity(&mut events);
        if let Err(error) = epoll::wait(&self.readable, spare, Some(&at_once)) {
            tracing::debug!(%error, "nothing read");
        }
        for event in events {
            let pid = Pid::from_raw(event.data.u64() as RawPid);
            if let Some(process) = pid.and_then(|pid| self.alive.get_mut(&pid)) {
                process.sink.read(&mut self.buffer);
            }
        }
    }

    /// Takes the exit status of everything that has ended.
    pub fn reap(&mut self, now: Instant) {
        let mut ended: Vec<Pid> = Vec::new();
        let mut has_orphan_ended = false;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(process) = self.alive.get_mut(&pid) {
                        process.status = Some(status);
                        ended.push(pid);
                    } else {
                        self.orphans.reaped(pid);
                        has_orphan_ended = true;
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                // Nothing ended, or there are no children.
                Ok(None) | Err(_) => break,
            }
        }
        // What an orphan had started is a child of this process now.
        if ended.is_empty() && self.lingering.is_empty() && !has_orphan_ended {
            return;
        }
        self.look_for_orphans();
        ended.extend(self.lingering.iter().filter_map(|&pid| Pid::from_raw(pid)));
        for pid in ended {
            self.settle(pid, now);
        }
        self.kill_the_nameless();
    }

    /// Time limits, and the patience with what was asked to stop.
    pub fn tick(&mut self, now: Instant) {
        let mut looked = false;
        while let Some((_, pid)) = self.timers.first().copied().filter(|&(at, _)| at <= now) {
            self.timers.pop_first();
            let Some(pid) = Pid::from_raw(pid) else { continue };
            let Some(process) = self.alive.get_mut(&pid) else { continue };
            process.timer = None;
            if !std::mem::replace(&mut looked, true) {
                self.look_for_orphans();
            }
            self.timer_over(pid, now);
        }
        if looked {
            self.kill_the_nameless();
        }
    }

    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    fn look_for_orphans(&mut self) {
        let Self { orphans, alive, names, serial, .. } = self;
        let task_of = |traces: &Traces, group: Option<Pid>| {
            let named = names.get(&traces.task).copied();
            let same =
                |pid: &Pid| alive.get(pid).is_some_and(|it| it.attempt.attempt == traces.attempt);
            named.filter(same).or(group.filter(|group| alive.contains_key(group)))
        };
        let is_task = |pid| alive.get(&pid).is_some_and(|process| process.status.is_none());
        orphans.look(is_task, task_of, *serial + 1);
    }

    /// Orphans of which nothing tells whose they are.
    fn kill_the_nameless(&self) {
        if !self.orphans.is_empty() {
            let oldest = self.alive.values().map(|process| process.serial).min();
            self.orphans.kill_before(oldest.unwrap_or(u64::MAX));
        }
    }

    fn set_timer(&mut self, pid: Pid, at: Option<Instant>) {
        let Some(process) = self.alive.get_mut(&pid) else { return };
        if let Some(old) = process.timer.take() {
            self.timers.remove(&(old, pid.as_raw_nonzero().get()));
        }
        process.timer = at;
        if let Some(at) = at {
            self.timers.insert((at, pid.as_raw_nonzero().get()));
        }
    }

    fn finish(&mut self, pid: Pid) {
        self.set_timer(pid, None);
        let Some(process) = self.alive.remove(&pid) else { return };
        self.lingering.remove(&pid.as_raw_nonzero().get());
        self.orphans.forget(pid, self.serial + 1);
        self.slots.give_back(process.slot);
        if self.names.get(&process.attempt.name) == Some(&pid) {
            self.names.remove(&process.attempt.name);
        }
        let ended = process.into_ended(&mut self.buffer);
        self.ended.push(ended);
    }
}

/// However this ends: nothing goes on running that nobody looks after.
impl Drop for Processes {
    fn drop(&mut self) {
        self.alive.keys().for_each(|&pid| signal(pid, Signal::KILL));
        self.orphans.kill_all();
    }
}

impl Process {
    fn into_ended(self, buffer: &mut [u8]) -> Ended {
        let why = self.stop.map(|stop| stop.why);
        let exit_code = self.status.map_or(-1, exit_code);
        let name = self.attempt.name.clone();
        let reason = match why {
            Some(Why::Unwanted) => return Ended { name, outcome: None },
            Some(Why::TimeLimit(limit)) => {
                let goes_on = if self.is_let_go { LET_GO } else { "" };
                format!("timed out after {}{goes_on}", exact(limit))
            }
            // The exit code says it.
            None | Some(Why::Left) => String::new(),
        };
        let done = exit_code == 0 && reason.is_empty();
        let result = if done { Verdict::Done } else { Verdict::Failed };
        let left_behind = u32::try_from(self.left_behind.len()).unwrap_or(u32::MAX);
        if left_behind > 0 {
            tracing::info!(
                name,
                left_behind,
                "ended, and with it what it had left in the background; is there an & too many, or a wait too few?"
            );
        }
        let (output, output_file) = self.sink.end(buffer);
        let outcome = Outcome {
            name: self.attempt.name,
            attempt: self.attempt.attempt,
            result: result.into(),
            exit_code,
            reason,
            output,
            output_file,
            left_behind,
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

#[cfg(test)]
pub mod tests;
