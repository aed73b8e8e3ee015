//! The pace of a pool beside a crowd of each role, against that of the same pool alone. What the
//! crowd costs itself is not the hub's: it runs at the lowest priority, on one core, half of the time.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use dhub_proto::access::Access;
use dhub_proto::find::Target;
use dhub_proto::wire::Task;
use e2e::{CROWDS, Native, flood, task};
use rustix::process::{Pid, Signal, kill_process};

use crate::hub::{Hub, hostile};

const TASKS: usize = 4_000;
/// Of the pace that the pool has alone.
const LEAST: f64 = 0.8;
/// Long enough that all who want to are connected.
const GATHER: Duration = Duration::from_secs(20);
/// The crowd is looked at so often.
const TICK: Duration = Duration::from_millis(10);

/// Prints the figures; true if the pool keeps its pace.
pub fn measure(connections: usize, rounds: usize, slots: usize) -> bool {
    let hub = Hub::start();
    hub.space.run("dhub", &["access", "new", "pool", "--role", "work"]).exits(0);
    let native = Native::to(&hub.target("owner"));
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let alone = drain(&hub, &native, slots, &format!("alone{round}"));
        let crowd = Crowd::gather(&hub, connections);
        std::thread::sleep(GATHER);
        let beside = drain(&hub, &native, slots, &format!("beside{round}"));
        let share = crowd.share();
        drop(crowd);
        let ratio = alone.as_secs_f64() / beside.as_secs_f64();
        println!(
            "{TASKS} tasks: {alone:.2?} alone, {beside:.2?} beside: {ratio:.2} (crowd: {share:.2} of a core)"
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!(
        "pace beside {connections} connections of each role: {median:.2} of that alone (must {LEAST})"
    );
    median >= LEAST
}

/// How long a pool takes for all tasks.
fn drain(hub: &Hub, native: &Native, slots: usize, prefix: &str) -> Duration {
    let named = |n| Task { command: "true".into(), ..task(&format!("{prefix}.{n}"), &[]) };
    native.create(&(0..TASKS).map(named).collect::<Vec<_>>());
    let access = hub.access("pool").display().to_string();
    let begin = Instant::now();
    let slots = slots.to_string();
    hub.space.run("kworker", &["--access", &access, "-j", &slots, "--until-done"]).exits(0);
    begin.elapsed()
}

/// A process of its own, stopped whenever it has had its share.
struct Crowd {
    child: Child,
    begin: Instant,
    over: std::sync::Arc<AtomicBool>,
}

impl Crowd {
    fn gather(hub: &Hub, connections: usize) -> Self {
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new("nice");
        command.args(["-n", "19", "taskset", "-c", "0"]).arg(own).arg("crowd");
        command.args(["--connections", &connections.to_string()]);
        command.args(CROWDS.map(|(role, _)| hub.access(&hostile(role))));
        let child = command.spawn().expect("nice and taskset");
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let crowd = Self { child, begin: Instant::now(), over };
        let (id, begin, over) = (crowd.child.id(), crowd.begin, crowd.over.clone());
        std::thread::spawn(move || restrain(id, begin, &over));
        crowd
    }

    /// Of one core, so far.
    fn share(&self) -> f64 {
        used(self.child.id()).as_secs_f64() / self.begin.elapsed().as_secs_f64()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn restrain(id: u32, begin: Instant, over: &AtomicBool) {
    let pid = Pid::from_raw(id as i32).expect("a process");
    while !over.load(std::sync::atomic::Ordering::Relaxed) {
        let signal = if used(id) > begin.elapsed() / 2 { Signal::STOP } else { Signal::CONT };
        let _ = kill_process(pid, signal);
        std::thread::sleep(TICK);
    }
}

/// The time that a process has had of all cores.
fn used(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name before may have spaces, in brackets.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_secs(ticks) / rustix::param::clock_ticks_per_second() as u32
}

/// What the process of its own does.
pub fn crowd(access: &[PathBuf], connections: usize) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for ((_, asks), path) in CROWDS.into_iter().zip(access) {
            let access = Access::read(path).expect("an access file");
            let keys = Some(access.keys());
            let endpoint = access.endpoints.iter().find(|it| it.starts_with("tcp")).cloned();
            let endpoint = endpoint.expect("an endpoint for TCP");
            let target = Target { endpoint, keys, ..Target::default() };
            let over = &over;
            scope.spawn(move || flood(&target, asks, connections, over));
        }
    });
}
