//! Descriptors for connections: how many there are, and what people are told when they lack.

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::process::{Resource, getrlimit};

use crate::engine::message::Millis;
use crate::net::gate::OWNERS_MORE;
use crate::net::socket::HANDSHAKES_MAX;

/// For so long after a connection was refused, others are thought to wait for one.
const CROWDED_MS: Millis = 1_000;
/// As long as it is crowded, that is looked at so often.
pub const LOOK_MS: Millis = 50;
/// After so long without it is over, for people.
const OVER_MS: Millis = 60_000;

/// An eighth of those for connections over TCP is for peers that have not said who they are, and strangers
/// have no others.
const HANDSHAKES_SHARE: u64 = 8;
const HANDSHAKES_MIN: u64 = 2;
/// Files that a socket takes, listening for requests and for reports, without any connection.
const FILES_PER_SOCKET: u64 = 8;

/// What the process may open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Descriptors {
    /// None: as many files as there are, connections, and workers that hold tasks at the same time.
    files_max: Option<u64>,
    /// Of these, for connections over TCP.
    tcp: u64,
}

impl Descriptors {
    pub const UNLIMITED: Self = Self { files_max: None, tcp: 0 };

    /// Before so many sockets are bound, with all else open.
    pub fn measure(sockets: usize) -> Self {
        let files_max = getrlimit(Resource::Nofile).current;
        let open = File::open("/dev/null").map_or(0, |it| it.as_raw_fd() as u64);
        let in_use = open + FILES_PER_SOCKET * sockets as u64;
        let tcp = files_max.map_or(0, zmq_sys::zmq_descriptors_for_tcp).saturating_sub(in_use);
        Self { files_max, tcp }
    }

    /// Before anything is bound.
    pub fn limit_connections(&self) {
        let of = |most: u64| u32::try_from(most).unwrap_or(u32::MAX);
        if self.files_max.is_some() {
            zmq_sys::zmq_limit_handshakes(of(self.handshakes_max()));
            zmq_sys::zmq_limit_connections(of(self.connections_max()));
        }
    }

    fn handshakes_max(&self) -> u64 {
        (self.tcp / HANDSHAKES_SHARE).clamp(HANDSHAKES_MIN, u64::from(HANDSHAKES_MAX))
    }

    /// Of peers that are let in; the owner's may have some more.
    fn connections_max(&self) -> u64 {
        let others = self.handshakes_max() + u64::from(OWNERS_MORE.unsigned_abs());
        self.tcp.saturating_sub(others).max(2)
    }

    /// Each has two connections.
    pub fn workers_max(&self) -> Option<usize> {
        let workers = self.connections_max() / 2;
        self.files_max.map(|_| usize::try_from(workers).unwrap_or(usize::MAX))
    }
}

/// Told when it begins, and when it was over for a while.
#[derive(Debug, Default)]
struct Lack {
    at: Option<Millis>,
    told: bool,
}

impl Lack {
    /// True: it is news.
    fn note(&mut self, now: Millis) -> bool {
        self.at = Some(now);
        !std::mem::replace(&mut self.told, true)
    }

    /// True: it is news.
    fn is_over(&mut self, now: Millis) -> bool {
        !self.was_within(OVER_MS, now) && std::mem::take(&mut self.told)
    }

    fn was_within(&self, ms: Millis, now: Millis) -> bool {
        self.at.is_some_and(|at| now < at + ms)
    }
}

/// What lacks for want of descriptors.
#[derive(Default)]
pub struct Shortage {
    descriptors: Descriptors,
    /// How often somebody whose key is known wanted a connection that others would have to leave.
    wanted: u64,
    connections: Lack,
    places: Lack,
}

impl Shortage {
    pub fn new(descriptors: Descriptors) -> Self {
        Self { descriptors, ..Self::default() }
    }

    /// Whether somebody waits for a connection now; so often somebody did since the start.
    pub fn look(&mut self, now: Millis, wanted: u64) -> bool {
        if wanted != self.wanted {
            self.wanted = wanted;
            if self.connections.note(now) {
                tracing::warn!("no room for more connections: {}", self.advice());
            }
        }
        if self.connections.is_over(now) {
            tracing::warn!("there is room for connections again");
        }
        self.connections.was_within(CROWDED_MS, now)
    }

    /// How many idle workers get none of the tasks that are ready.
    pub fn note_kept(&mut self, now: Millis, workers: usize) {
        if workers > 0 && self.places.note(now) {
            tracing::warn!("idle workers get none of the tasks that are ready: {}", self.advice());
        }
        if self.places.is_over(now) {
            tracing::warn!("no idle worker is kept from ready tasks any more");
        }
    }

    fn advice(&self) -> String {
        let files = self.descriptors.files_max.unwrap_or(u64::MAX);
        let workers = self.descriptors.workers_max().unwrap_or(usize::MAX);
        format!(
            "this process may open {files} files. Up to {workers} workers have tasks at a time, half as many of one key \
             other than the owner's; the others wait until one of these has nothing to run. For more, raise the limit (ulimit -Hn) and start the hub again"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_is_told_once_and_again_when_it_was_over_for_a_while() {
        let mut lack = Lack::default();
        assert!(!lack.is_over(0));
        assert_eq!([lack.note(1), lack.note(2)], [true, false]);
        assert!(!lack.is_over(OVER_MS + 1));
        assert!(lack.is_over(OVER_MS + 2) && !lack.is_over(OVER_MS + 3));
        assert!(lack.note(OVER_MS + 4));
    }
}
