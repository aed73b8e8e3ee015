//! What is measured, and what is asked of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use dhub_proto::find::Target;

use crate::client::{Bag, Create, DworkLoop, Graph, NativeLoop, Stencil, Tree};
use crate::echo;
use crate::lanes::{Measured, drive};
use crate::parked;
use crate::process::Server;

/// Tasks and times are divided by this for a quick look.
#[derive(Clone, Copy, Debug)]
pub struct Scale(pub u64);

impl Scale {
    fn tasks(self, tasks: u64) -> u64 {
        (tasks / self.0).max(1_000)
    }
}

/// The hub under measurement.
pub struct Bench {
    /// The directory with dhub and dquery.
    pub programs: PathBuf,
    pub below: PathBuf,
    /// Another hub, that runs already and speaks the dwork dialect.
    pub endpoint: Option<String>,
    pub scale: Scale,
    /// Names of one run do not appear in the next.
    pub run: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
}

pub struct Case {
    pub key: &'static str,
    pub title: &'static str,
    pub must: f64,
    pub aim: f64,
    pub better: Better,
    /// Also for a hub that knows the dwork dialect alone.
    pub dwork: bool,
    /// The figure, and its ratio to the baseline of the same moment.
    pub measure: fn(&Bench) -> (f64, f64),
}

pub const CASES: [Case; 12] = [
    Case {
        key: "steal-1",
        title: "steal then complete, one at a time, 16 workers (tasks/s)",
        must: 0.42,
        aim: 0.47,
        better: Better::Higher,
        dwork: true,
        measure: |bench| loops(bench, 60_000, 16, 1),
    },
    Case {
        key: "native-1",
        title: "native complete-and-steal, 16 workers (tasks/s)",
        must: 0.75,
        aim: 0.90,
        better: Better::Higher,
        dwork: false,
        measure: native,
    },
    Case {
        key: "steal-16",
        title: "steal/complete in batches of 16, 4 workers (tasks/s)",
        must: 3.2,
        aim: 3.9,
        better: Better::Higher,
        dwork: true,
        measure: |bench| loops(bench, 400_000, 4, 16),
    },
    Case {
        key: "steal-256",
        title: "the same in batches of 256 (tasks/s)",
        must: 6.5,
        aim: 10.0,
        better: Better::Higher,
        dwork: true,
        measure: |bench| loops(bench, 800_000, 4, 256),
    },
    Case {
        key: "create-16",
        title: "create, one client, batches of 16 (tasks/s)",
        must: 2.2,
        aim: 3.0,
        better: Better::Higher,
        dwork: true,
        measure: |bench| create(bench, 400_000, 16),
    },
    Case {
        key: "create-256",
        title: "create, one client, batches of 256 (tasks/s)",
        must: 7.0,
        aim: 10.0,
        better: Better::Higher,
        dwork: true,
        measure: |bench| create(bench, 800_000, 256),
    },
    Case {
        key: "stencil",
        title: "stencil, 3 dependencies a task, 1,000,000 tasks, batches of 16 (tasks/s)",
        must: 2.6,
        aim: 3.5,
        better: Better::Higher,
        dwork: true,
        measure: stencil,
    },
    Case {
        key: "addfile",
        title: "dquery addfile of 1,000,000 lines, 2 dependencies each (lines/s)",
        must: 2.0,
        aim: 3.5,
        better: Better::Higher,
        dwork: false,
        measure: addfile,
    },
    Case {
        key: "latency",
        title: "one worker, one at a time: p50 of a steal (us; ratio to p50 of the echo)",
        must: 2.4,
        aim: 1.8,
        better: Better::Lower,
        dwork: true,
        measure: latency,
    },
    Case {
        key: "parked",
        title: "p99 of a steal with 10,000 parked workers (us; ratio to p99 without)",
        must: 2.0,
        aim: 1.2,
        better: Better::Lower,
        dwork: false,
        measure: parked::measure,
    },
    Case {
        key: "curve-1",
        title: "encrypted: steal then complete, one at a time, 16 workers (tasks/s; ratio to plain)",
        must: 0.65,
        aim: 0.80,
        better: Better::Higher,
        dwork: false,
        measure: |bench| encrypted(bench, 40_000, 16, 1),
    },
    Case {
        key: "curve-16",
        title: "encrypted: the same in batches of 16, 4 workers (tasks/s; ratio to plain)",
        must: 0.60,
        aim: 0.80,
        better: Better::Higher,
        dwork: false,
        measure: |bench| encrypted(bench, 200_000, 4, 16),
    },
];

/// A rate, and its ratio to the round trips a second that the echo makes with 16 clients, just
/// before and just after.
fn beside_echo(bench: &Bench, measure: impl FnOnce() -> f64) -> (f64, f64) {
    let echo = || {
        let measured = echo::measure(16, Duration::from_millis(1_000 / bench.scale.0));
        measured.per_second(measured.requests)
    };
    let before = echo();
    let rate = measure();
    (rate, rate / ((before + echo()) / 2.0))
}

impl Bench {
    /// A hub with nothing in it, or the one that was named.
    pub fn hub(&self) -> (Option<Server>, String) {
        match &self.endpoint {
            Some(endpoint) => (None, endpoint.clone()),
            None => {
                let hub = Server::hub(&self.programs.join("dhub"), &self.below);
                let endpoint = hub.endpoint.clone();
                (Some(hub), endpoint)
            }
        }
    }

    pub fn bag(&self) -> Bag {
        let run = self.run.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Bag { prefix: format!("run{run}.task") }
    }
}

pub fn fill(target: Target, graph: impl Graph + 'static, tasks: u64) {
    drive(target, vec![Create::lane(graph, tasks, 1_000)]);
}

fn dwork_workers(target: Target, workers: usize, n: u32, tasks: u64) -> Measured {
    let done = Arc::new(AtomicU64::new(0));
    drive(target, (0..workers).map(|w| DworkLoop::lane(w, n, &done, tasks)).collect())
}

fn loops(bench: &Bench, tasks: u64, workers: usize, n: u32) -> (f64, f64) {
    let tasks = bench.scale.tasks(tasks);
    beside_echo(bench, || {
        let (_hub, endpoint) = bench.hub();
        fill(Target::plain(&endpoint), bench.bag(), tasks);
        dwork_workers(Target::plain(&endpoint), workers, n, tasks).per_second(tasks)
    })
}

/// In plain, encrypted, and in plain again, at the same hub.
fn encrypted(bench: &Bench, tasks: u64, workers: usize, n: u32) -> (f64, f64) {
    let tasks = bench.scale.tasks(tasks);
    let (hub, guarded) = Server::both_ways(&bench.programs.join("dhub"), &bench.below);
    let plain = Target::plain(&hub.endpoint);
    let rate = |target: &Target| {
        fill(target.clone(), bench.bag(), tasks);
        dwork_workers(target.clone(), workers, n, tasks).per_second(tasks)
    };
    let before = rate(&plain);
    let encrypted = rate(&guarded);
    (encrypted, encrypted / ((before + rate(&plain)) / 2.0))
}

fn native(bench: &Bench) -> (f64, f64) {
    let tasks = bench.scale.tasks(150_000);
    beside_echo(bench, || {
        let (_hub, endpoint) = bench.hub();
        fill(Target::plain(&endpoint), bench.bag(), tasks);
        drive(Target::plain(&endpoint), (0..16).map(NativeLoop::lane).collect()).per_second(tasks)
    })
}

fn create(bench: &Bench, tasks: u64, batch: u64) -> (f64, f64) {
    let tasks = bench.scale.tasks(tasks);
    beside_echo(bench, || {
        let (_hub, endpoint) = bench.hub();
        let measured =
            drive(Target::plain(&endpoint), vec![Create::lane(bench.bag(), tasks, batch)]);
        measured.per_second(tasks)
    })
}

fn stencil(bench: &Bench) -> (f64, f64) {
    let tasks = bench.scale.tasks(1_000_000);
    beside_echo(bench, || {
        let (_hub, endpoint) = bench.hub();
        let prefix = bench.bag().prefix;
        fill(Target::plain(&endpoint), Stencil { prefix, width: 1_000 }, tasks);
        dwork_workers(Target::plain(&endpoint), 4, 16, tasks).per_second(tasks)
    })
}

fn addfile(bench: &Bench) -> (f64, f64) {
    let lines = bench.scale.tasks(1_000_000);
    let file = bench.below.join(format!("tasks-{}.txt", std::process::id()));
    let mut text = String::new();
    for i in 0..lines {
        text += &Tree.name(i);
        for need in Tree.needs(i) {
            text.push(',');
            text += &need;
        }
        text.push('\n');
    }
    std::fs::write(&file, text).expect("the task file");
    let measured = beside_echo(bench, || {
        let (_hub, endpoint) = bench.hub();
        dquery(&bench.programs, &endpoint, &file, lines)
    });
    std::fs::remove_file(&file).expect("the task file");
    measured
}

fn dquery(programs: &Path, endpoint: &str, file: &Path, lines: u64) -> f64 {
    let begin = Instant::now();
    let mut command = Command::new(programs.join("dquery"));
    command.args(["--insecure", "-s", endpoint, "addfile"]).arg(file).stdout(Stdio::null());
    let status = command.status().expect("dquery");
    assert!(status.success(), "dquery addfile: {status}");
    lines as f64 / begin.elapsed().as_secs_f64()
}

fn latency(bench: &Bench) -> (f64, f64) {
    let echo = echo::measure(1, Duration::from_millis(1_000 / bench.scale.0)).micros(0.5);
    let (_hub, endpoint) = bench.hub();
    let tasks = bench.scale.tasks(10_000);
    fill(Target::plain(&endpoint), bench.bag(), tasks);
    let micros = parked::steals(&endpoint, tasks).micros(0.5);
    (micros, micros / echo)
}
