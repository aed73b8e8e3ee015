//! The children of this process, as the kernel lists them: those that it started, and, since it is a
//! subreaper, orphans of those.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::process::{Pid, RawPid};

/// Makes orphans of what is started here children of this process. Otherwise they would go to
/// whoever is process 1, where nobody finds them.
pub fn adopt_orphans() {
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::warn!(%error, "cannot adopt orphans");
    }
}

/// The list, kept open: reading it is one system call.
pub struct Children {
    list: Option<File>,
}

impl Children {
    /// All are started by the first thread, and orphans are given to it.
    pub fn new() -> Self {
        let pid = std::process::id();
        let path = format!("/proc/self/task/{pid}/children");
        let list = File::open(&path).inspect_err(|error| tracing::debug!(path, %error, "no list"));
        Self { list: list.ok() }
    }

    /// Complete, because nobody but this thread takes children away.
    pub fn pids(&self) -> Vec<Pid> {
        // Kernels without such lists are rare.
        self.listed().unwrap_or_else(searched)
    }

    fn listed(&self) -> Option<Vec<Pid>> {
        let list = self.list.as_ref()?;
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match list.read_at(&mut chunk, text.len() as u64) {
                Ok(0) => break,
                Ok(bytes) => text.extend_from_slice(&chunk[..bytes]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        let words = text.split(|byte| byte.is_ascii_whitespace());
        Some(
            words
                .filter_map(|word| str::from_utf8(word).ok()?.parse().ok())
                .filter_map(Pid::from_raw)
                .collect(),
        )
    }
}

/// What of a group has not ended.
pub fn of_group(group: Pid) -> Vec<Pid> {
    let group = group.as_raw_nonzero().get();
    all(|it| it.group == group && !matches!(it.state, 'Z' | 'X'))
}

/// Every process whose parent is this one.
fn searched() -> Vec<Pid> {
    let me = rustix::process::getpid().as_raw_pid();
    all(|it| it.parent == me)
}

/// Each process of this machine of which that is so.
fn all(is_meant: impl Fn(&Stat) -> bool) -> Vec<Pid> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<RawPid>().ok())
        .filter(|&pid| Stat::of(pid).is_some_and(|stat| is_meant(&stat)))
        .filter_map(Pid::from_raw)
        .collect()
}

struct Stat {
    state: char,
    parent: RawPid,
    group: RawPid,
}

impl Stat {
    fn of(pid: RawPid) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may have anything in it, parentheses too.
        let (_, after_name) = stat.rsplit_once(") ")?;
        let mut words = after_name.split(' ');
        Some(Self {
            state: words.next()?.chars().next()?,
            parent: words.next()?.parse().ok()?,
            group: words.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same_children() {
        let _alone = crate::process::tests::alone();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let thread = rustix::thread::gettid().as_raw_nonzero();
        // A test is not in the first thread.
        let list = File::open(format!("/proc/self/task/{thread}/children")).ok();
        assert!(list.is_some(), "no list on this kernel");
        assert!(Children { list }.pids().contains(&pid));
        assert!(Children { list: None }.pids().contains(&pid));
        let group = rustix::process::getpgrp();
        assert!(of_group(group).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!of_group(group).contains(&pid));
        assert!(!Children { list: None }.pids().contains(&pid));
    }
}
