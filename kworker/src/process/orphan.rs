//! Children that nobody started here: orphans of tasks, in a session of their own or not, adopted by
//! this process because it is a subreaper.
//!
//! Whose an orphan is tells its environment, else its process group. If neither does, it is older
//! than the next task to start: it goes when all that ran then have ended.

use std::collections::HashMap;

use rustix::process::{Pid, Signal, getpgid, kill_process};

use crate::children::Children;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Owner {
    /// The first process of the task.
    Task(Pid),
    /// Some task that was started before this one.
    Before(u64),
}

pub struct Orphans {
    children: Children,
    known: HashMap<Pid, Owner>,
    /// Of one of them nothing can be read, as it is just ending, or another program is being loaded. One that ends
    /// leaves what it had started to this process, and that is not among the children yet.
    is_unsure: bool,
}

/// What an environment says.
#[derive(Debug, Default, PartialEq)]
pub struct Traces {
    pub task: String,
    pub attempt: u32,
}

impl Orphans {
    pub fn new() -> Self {
        Self { children: Children::new(), known: HashMap::new(), is_unsure: false }
    }

    /// Looks who is there. `task_of` finds the task to traces, or to a process group.
    pub fn look(
        &mut self,
        is_task: impl Fn(Pid) -> bool,
        task_of: impl Fn(&Traces, Option<Pid>) -> Option<Pid>,
        next: u64,
    ) {
        let children = self.children.pids();
        if children.len() < self.known.len() {
            self.known.retain(|pid, _| children.contains(pid));
        }
        self.is_unsure = false;
        for pid in children.into_iter().filter(|&pid| !is_task(pid)) {
            // Asked again until it is known: while a program is being loaded it has no environment.
            if let Some(Owner::Task(_)) = self.known.get(&pid) {
                continue;
            }
            let before = match self.known.get(&pid) {
                Some(&owner) => owner,
                None => Owner::Before(next),
            };
            let environment = read(pid, "environ");
            let traces = find_traces(&environment);
            let owner = task_of(&traces, getpgid(Some(pid)).ok()).map_or(before, Owner::Task);
            self.is_unsure |=
                owner == before && environment.is_empty() && read(pid, "cmdline").is_empty();
            tracing::debug!(?pid, ?owner, "orphan");
            self.known.insert(pid, owner);
        }
    }

    /// It has ended.
    pub fn reaped(&mut self, pid: Pid) {
        self.known.remove(&pid);
    }

    /// Whose all of them are is not known before the next look.
    pub fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub fn of(&self, task: Pid) -> impl Iterator<Item = Pid> {
        let mine =
            move |(&pid, &owner): (&Pid, &Owner)| (owner == Owner::Task(task)).then_some(pid);
        self.known.iter().filter_map(mine)
    }

    /// Kills those of tasks that are gone; `oldest` runs still.
    pub fn kill_before(&self, oldest: u64) {
        for (&pid, &owner) in &self.known {
            if matches!(owner, Owner::Before(next) if next <= oldest) {
                signal(pid, Signal::KILL);
            }
        }
    }

    /// The task is finished with.
    pub fn forget(&mut self, task: Pid, next: u64) {
        for owner in self.known.values_mut().filter(|owner| **owner == Owner::Task(task)) {
            *owner = Owner::Before(next);
        }
    }

    pub fn kill_all(&self) {
        self.known.keys().for_each(|&pid| signal(pid, Signal::KILL));
    }
}

/// To one process.
pub fn signal(pid: Pid, signal: Signal) {
    if let Err(error) = kill_process(pid, signal) {
        tracing::debug!(?pid, ?signal, %error, "cannot signal an orphan");
    }
}

fn read(pid: Pid, what: &str) -> Vec<u8> {
    std::fs::read(format!("/proc/{}/{what}", pid.as_raw_nonzero())).unwrap_or_default()
}

fn find_traces(environment: &[u8]) -> Traces {
    let mut traces = Traces::default();
    for variable in environment.split(|&byte| byte == 0) {
        if let Some(name) = variable.strip_prefix(b"DHUB_TASK=") {
            traces.task = String::from_utf8_lossy(name).into_owned();
        } else if let Some(attempt) = variable.strip_prefix(b"DHUB_ATTEMPT=") {
            traces.attempt =
                str::from_utf8(attempt).ok().and_then(|it| it.parse().ok()).unwrap_or(0);
        }
    }
    traces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_tells_the_attempt() {
        let traces = find_traces(b"PATH=/bin\0DHUB_TASK=a b\0DHUB_ATTEMPT=12\0X_DHUB_TASK=no\0");
        assert_eq!(traces, Traces { task: "a b".into(), attempt: 12 });
        assert_eq!(find_traces(b""), Traces::default());
        assert_eq!(find_traces(b"DHUB_ATTEMPT=x\0DHUB_TASK="), Traces::default());
    }
}
