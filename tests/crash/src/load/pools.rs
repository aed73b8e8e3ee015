//! Real pools. Each task writes its name and attempt to a file; now and then a pool is killed, or
//! stopped for longer than the worker time-out.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use e2e::{Hub, Process};
use rustix::process::Signal;

use crate::journal::{Journal, Kind};

pub const LOG: &str = "log";
const POOLS: usize = 2;
/// One write a task. Some fail the first time.
const SCRIPT: &str =
    "echo \"$DHUB_TASK $DHUB_ATTEMPT\" >>log; case $DHUB_TASK.$DHUB_ATTEMPT in *7.1) exit 3;; esac";

pub struct Pools {
    pools: Vec<Process>,
    /// A stopped one, and until when.
    stopped: Option<(usize, Instant)>,
    started: u64,
}

impl Pools {
    pub fn start(hub: &Mutex<Hub>) -> Self {
        let mut pools = Self { pools: Vec::new(), stopped: None, started: 0 };
        for _ in 0..POOLS {
            let pool = pools.another(hub);
            pools.pools.push(pool);
        }
        pools
    }

    fn another(&mut self, hub: &Mutex<Hub>) -> Process {
        self.started += 1;
        let name = format!("pool{}", self.started);
        let args = ["-j", "2", "--wait-for-hub", "--name", &name, "--shell", SCRIPT];
        hub.lock().expect("the hub").worker(&args)
    }

    /// After a cycle: lets things happen to a pool.
    pub fn trouble(&mut self, hub: &Mutex<Hub>, random: &mut fastrand::Rng, pause: Duration) {
        let now = Instant::now();
        if let Some((at, until)) = self.stopped {
            if until <= now {
                self.pools[at].signal_pool(Signal::CONT);
                self.stopped = None;
            }
            return;
        }
        let at = random.usize(0..POOLS);
        match random.u32(0..30) {
            0 => {
                // Without a farewell: its guardian cleans up, and tells the hub nothing.
                self.pools[at].signal_pool(Signal::KILL);
                self.pools[at] = self.another(hub);
            }
            1 => {
                self.pools[at].signal_pool(Signal::STOP);
                self.stopped = Some((at, now + pause));
            }
            _ => {}
        }
    }

    pub fn go_on(&mut self) {
        if let Some((at, _)) = self.stopped.take() {
            self.pools[at].signal_pool(Signal::CONT);
        }
    }

    /// They leave when everything is finished.
    pub fn end(mut self, journal: &mut Journal) {
        self.go_on();
        for pool in &mut self.pools {
            if pool.is_running() {
                pool.signal(Signal::TERM);
            }
        }
        for pool in self.pools {
            let output = pool.end();
            if output.code != Some(0) {
                journal.fault(
                    Kind::Wrong,
                    format!("{} ended with {:?}: {}", output.what, output.code, output.stderr),
                );
            }
        }
    }
}
