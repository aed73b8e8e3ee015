//! Room for connections: noticed when it is used up, told once, and told again when that was over for a
//! while and comes back.

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::process::{Resource, getrlimit};

use crate::scheduler::message::Millis;

/// For so long after a connection was refused, others are thought to wait for one.
const CROWDED_MS: Millis = 1_000;
/// As long as it is crowded, that is looked at so often.
pub const LOOK_MS: Millis = 50;
/// After so long without it is over, for people.
const OVER_MS: Millis = 60_000;

/// Files that a socket takes, listening for requests and for reports, without any connection.
const FILES_PER_SOCKET: u64 = 8;

/// What the process may open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    /// None: as many files as there are, and as many workers that hold tasks at the same time.
    files_max: Option<u64>,
    workers_max: Option<usize>,
}

impl Places {
    pub const UNLIMITED: Self = Self { files_max: None, workers_max: None };

    /// Before so many sockets are bound, with all else open. A worker has two connections.
    pub fn measure(sockets: usize) -> Self {
        let files_max = getrlimit(Resource::Nofile).current;
        let open = File::open("/dev/null").map_or(0, |it| it.as_raw_fd() as u64);
        let in_use = open + FILES_PER_SOCKET * sockets as u64;
        let workers = |all| zmq_sys::zmq_descriptors_for_tcp(all).saturating_sub(in_use) / 2;
        let workers_max =
            files_max.map(|all| usize::try_from(workers(all).max(1)).unwrap_or(usize::MAX));
        Self { files_max, workers_max }
    }
}

#[derive(Default)]
pub struct Room {
    places: Places,
    /// Connections that were closed at once, and the last time when there were more.
    pub refused: u64,
    at: Option<Millis>,
    told: bool,
}

impl Room {
    pub fn new(places: Places) -> Self {
        Self { places, ..Self::default() }
    }

    pub fn workers_max(&self) -> Option<usize> {
        self.places.workers_max
    }

    /// Whether somebody waits for a place now.
    pub fn look(&mut self, now: Millis) -> bool {
        let refused = zmq_sys::zmq_connections_crowded_out();
        if refused != self.refused {
            (self.refused, self.at) = (refused, Some(now));
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!("{}", self.advice());
            }
        }
        if self.told && !self.was_within(OVER_MS, now) {
            self.told = false;
            tracing::warn!(
                "there is room for connections again; {refused} were closed at once since the start"
            );
        }
        self.was_within(CROWDED_MS, now)
    }

    fn was_within(&self, ms: Millis, now: Millis) -> bool {
        self.at.is_some_and(|at| now < at + ms)
    }

    fn advice(&self) -> String {
        let (files, workers) = (self.places.files_max, self.places.workers_max);
        let (files, workers) = (files.unwrap_or(u64::MAX), workers.unwrap_or(usize::MAX));
        format!(
            "no room for more connections: this process may open {files} files. Up to {workers} workers have tasks at \
             a time, the others wait until one of these has nothing to run; for more, raise the limit (ulimit -Hn) and start the hub again"
        )
    }
}
