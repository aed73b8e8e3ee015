//! Three pools, and the blows that they and the hub get.

use std::fs;
use std::time::{Duration, Instant};

use e2e::{Hub, Process, eventually};
use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

const POOLS: usize = 3;
pub const WORKER_TIMEOUT: Duration = Duration::from_secs(2);
/// Two signals that come sooner one after the other may be one that was sent to both processes.
const TWICE: Duration = Duration::from_millis(20);

pub struct Pools {
    slots: usize,
    /// With the number of the process that does the work: the guardian's child.
    pools: Vec<Process>,
    started: usize,
    /// Leases begin anew with each start of the hub: were it restarted more often than they end,
    /// those of pools that are dead would never do so.
    hub_since: Instant,
    round: Vec<Blow>,
}

enum Blow {
    Guardian,
    Child,
    Drain,
    Stop,
    Hub,
}

/// How often each thing was done.
#[derive(Default)]
pub struct Blows {
    guardian: u32,
    child: u32,
    drained: u32,
    stopped: u32,
    hub: u32,
}

impl Blows {
    pub fn print(&self) {
        println!("{:>8}  hub killed with -9 and restarted", self.hub);
        println!("{:>8}  guardian killed with -9", self.guardian);
        println!("{:>8}  pool below its guardian killed with -9", self.child);
        println!("{:>8}  drained by SIGTERM", self.drained);
        println!("{:>8}  stopped by two SIGTERM", self.stopped);
    }
}

impl Pools {
    pub fn start(hub: &Hub, slots: usize) -> Self {
        let mut pools = Self {
            slots,
            pools: Vec::new(),
            started: 0,
            hub_since: Instant::now(),
            round: Vec::new(),
        };
        for _ in 0..POOLS {
            let pool = pools.another(hub);
            pools.pools.push(pool);
        }
        pools
    }

    fn another(&mut self, hub: &Hub) -> Process {
        self.started += 1;
        let (slots, name) = (self.slots.to_string(), format!("pool-{}", self.started));
        let mut command = hub.command("kworker");
        command.args(["-j", &slots, "--name", &name, "--wait-for-hub"]);
        // So that its environment can be read.
        command.env("DHUB_CORE", "1");
        Process::start(command)
    }

    /// One blow to somebody. Each kind comes in each round, in some order.
    pub fn strike(&mut self, hub: &mut Hub, rng: &mut Rng, blows: &mut Blows) {
        self.mend(hub);
        if self.round.is_empty() {
            self.round = vec![Blow::Guardian, Blow::Child, Blow::Drain, Blow::Stop, Blow::Hub];
            rng.shuffle(&mut self.round);
        }
        let pool = &self.pools[rng.usize(0..POOLS)];
        let (guardian, child) = (pool.id(), child_of(pool.id()));
        match self.round.pop() {
            None => {}
            Some(Blow::Guardian) => {
                blows.guardian += 1;
                kill(guardian, Signal::KILL);
            }
            Some(Blow::Child) => {
                if let Some(child) = child {
                    blows.child += 1;
                    kill(child, Signal::KILL);
                }
            }
            Some(Blow::Drain) => {
                blows.drained += 1;
                kill(guardian, Signal::TERM);
            }
            Some(Blow::Stop) => {
                blows.stopped += 1;
                kill(guardian, Signal::TERM);
                std::thread::sleep(TWICE);
                kill(guardian, Signal::TERM);
            }
            Some(Blow::Hub) if self.hub_since.elapsed() < WORKER_TIMEOUT * 3 / 2 => {}
            Some(Blow::Hub) => {
                blows.hub += 1;
                hub.restart();
                self.hub_since = Instant::now();
            }
        }
    }

    /// Others in place of those that have gone.
    pub fn mend(&mut self, hub: &Hub) {
        for at in 0..POOLS {
            if !self.pools[at].is_running() {
                self.pools[at] = self.another(hub);
            }
        }
    }

    /// All leave; what of this run is left then, with its command lines.
    pub fn leave(self, hub: &Hub) -> Vec<String> {
        for pool in &self.pools {
            // It may have been killed just now.
            kill(pool.id(), Signal::TERM);
        }
        for mut pool in self.pools {
            eventually("a pool to leave", || (!pool.is_running()).then_some(()));
        }
        let entry = format!("DHUB_HUB={}", hub.tcp());
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let left = left(&entry);
            if left.is_empty() || Instant::now() > until {
                return left;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The processes with this in their environment.
fn left(entry: &str) -> Vec<String> {
    let dirs = fs::read_dir("/proc").expect("/proc").flatten();
    let left = dirs.filter_map(|dir| {
        // They come and go meanwhile.
        let environment = fs::read(dir.path().join("environ")).unwrap_or_default();
        let ours = environment.split(|&byte| byte == 0).any(|it| it == entry.as_bytes());
        let line = fs::read(dir.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        ours.then(|| format!("{} {line}", dir.file_name().display()))
    });
    left.collect()
}

/// The pool itself, which its guardian started. Tasks have DHUB_TASK in their environment.
fn child_of(guardian: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{guardian}/task/{guardian}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        !environment.split(|&byte| byte == 0).any(|it| it.starts_with(b"DHUB_TASK="))
    })
}

/// Who is gone already cannot be killed.
fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
