//! What a hub needs when there are many tasks: memory, time, file. Not a ratio to anything: sizes
//! do not depend on the machine, and times are compared with those of fewer tasks.

use dhub_proto::find::Target;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use comfy_table::{Cell, CellAlignment, Table, presets};
use dhub_proto::Message;
use dhub_proto::wire::{self, reply, request::Body};
use serde::Serialize;
use tempfile::TempDir;

use crate::client::{Create, DworkLoop, Graph, request};
use crate::lanes::drive;
use crate::process::Server;
use crate::report::{digits, median};

const TASKS: u64 = 10_000_000;
const NAME_BYTES: u64 = 20;
const BATCH: u32 = 256;
const WORKERS: usize = 4;
/// So many tasks can run at a time; each of the others waits for one. As in dwork chains are worked
/// off to their end, so with few of them the last steals would find little.
const WIDTH: u64 = 100_000;
/// Tasks are timed in so many parts, of which the first and the last are compared.
const PARTS: u64 = 10;
/// Of all tasks: those that are unfinished at the restart.
const UNFINISHED: u64 = 5;
const STATUS_CALLS: usize = 9;
/// For memory to be given back.
const REST: Duration = Duration::from_secs(2);

/// Each task but the first ones needs one; names have 20 bytes.
struct Rows {
    from: u64,
}

fn name(i: u64) -> String {
    format!("growth.task.{i:08}")
}

impl Graph for Rows {
    fn name(&self, i: u64) -> String {
        name(self.from + i)
    }

    fn needs(&self, i: u64) -> Vec<String> {
        (self.from + i).checked_sub(WIDTH).map(name).into_iter().collect()
    }
}

#[derive(Clone, Debug, Serialize)]
struct Figure {
    title: String,
    figure: f64,
    /// At most this, if anything is asked.
    must: Option<f64>,
    met: bool,
}

type Figures = BTreeMap<&'static str, Figure>;

fn note(figures: &mut Figures, key: &'static str, title: &str, figure: f64, must: Option<f64>) {
    let met = must.is_none_or(|must| figure <= must);
    eprintln!("{key:<12} {:>10}  {title}", digits(figure));
    figures.insert(key, Figure { title: title.into(), figure, must, met });
}

/// Microseconds a task, of each part: by the clock, and of the hub's processor time.
#[derive(Default)]
struct Times {
    clock: Vec<f64>,
    processor: Vec<f64>,
}

impl Times {
    /// `part` does the tasks from one number to another, and says how many it did.
    fn take(hub: &Server, tasks: u64, mut part: impl FnMut(u64, u64) -> u64) -> Self {
        let mut times = Self::default();
        for i in 0..PARTS {
            let (begin, used) = (Instant::now(), hub.processor_seconds());
            let count = part(tasks * i / PARTS, tasks * (i + 1) / PARTS) as f64;
            times.clock.push(begin.elapsed().as_secs_f64() * 1e6 / count);
            times.processor.push((hub.processor_seconds() - used) * 1e6 / count);
        }
        times
    }

    fn note(&self, figures: &mut Figures, keys: [&'static str; 2], what: &str) {
        let last_by_first = |times: &[f64]| times[times.len() - 1] / times[0];
        let title = format!("{what}: time of the last tenth by that of the first");
        note(figures, keys[0], &title, last_by_first(&self.clock), Some(1.3));
        let title = format!("{what}: processor time of the hub, likewise");
        note(figures, keys[1], &title, last_by_first(&self.processor), None);
        eprintln!("{:13}microseconds a task in each tenth: {:.2?}", "", self.clock);
        eprintln!("{:13}of the processor's, of the hub: {:.2?}", "", self.processor);
    }
}

fn create(hub: &Server, tasks: u64) -> Times {
    Times::take(hub, tasks, |from, until| {
        drive(
            Target::plain(&hub.endpoint),
            vec![Create::lane(Rows { from }, until - from, BATCH.into())],
        );
        until - from
    })
}

fn work_off(hub: &Server, tasks: u64) -> Times {
    let done = Arc::new(AtomicU64::new(0));
    let lane = |worker, until| DworkLoop::lane(worker, BATCH, &done, until);
    Times::take(hub, tasks, |_, until| {
        let before = done.load(Ordering::Relaxed);
        drive(
            Target::plain(&hub.endpoint),
            (0..WORKERS).map(|worker| lane(worker, until)).collect(),
        );
        done.load(Ordering::Relaxed) - before
    })
}

/// After this all that was committed is in the file's tables.
fn status(endpoint: &str) -> wire::StatusReport {
    let socket = zmq::Context::new().socket(zmq::REQ).expect("a socket");
    socket.set_linger(0).expect("an option");
    socket.connect(endpoint).expect("an endpoint");
    socket.send(request(Body::Status(wire::Status {})), 0).expect("to send");
    let reply = socket.recv_bytes(0).expect("a status");
    match wire::Reply::decode(reply.as_slice()).expect("a reply").body {
        Some(reply::Body::Status(status)) => status,
        other => panic!("{other:?}"),
    }
}

/// Until the hub answers.
fn start(program: &Path, dir: &Path) -> (Server, f64) {
    let begin = Instant::now();
    let hub = Server::hub_in(program, dir);
    status(&hub.endpoint);
    (hub, begin.elapsed().as_secs_f64())
}

fn per_task(more: u64, less: u64, tasks: u64) -> f64 {
    (more as f64 - less as f64) / tasks as f64
}

fn finished(figures: &mut Figures, program: &Path, below: &Path, tasks: u64) {
    let dir = TempDir::with_prefix_in("dhub-growth", below).expect("a directory");
    let (hub, _) = start(program, dir.path());
    let empty = hub.memory_bytes();
    let create_times = create(&hub, tasks);
    let counts = status(&hub.endpoint).counts.expect("counts");
    assert_eq!(counts.waiting + counts.ready, tasks, "{counts:?}");
    let full = hub.memory_bytes();
    let beyond_name = per_task(full, empty, tasks) - NAME_BYTES as f64;
    note(
        figures,
        "memory",
        "bytes of memory an unfinished task, beyond its name",
        beyond_name,
        Some(150.0),
    );
    let work_times = work_off(&hub, tasks);
    let counts = status(&hub.endpoint).counts.expect("counts");
    assert_eq!(counts.done, tasks, "{counts:?}");
    std::thread::sleep(REST);
    let left = (hub.memory_bytes() - empty) as f64 / (full - empty) as f64;
    note(
        figures,
        "memory-done",
        "of that memory, what is left when all are done",
        left,
        Some(0.25),
    );
    create_times.note(figures, ["create", "create-cpu"], "create");
    work_times.note(figures, ["work", "work-cpu"], "steal and complete");
    let begin = Instant::now();
    hub.stop();
    note(figures, "stop", "seconds to a clean stop", begin.elapsed().as_secs_f64(), None);
    let bytes: u64 = std::fs::read_dir(dir.path())
        .expect("the directory")
        .filter_map(|entry| entry.and_then(|entry| entry.metadata()).ok())
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum();
    note(
        figures,
        "file",
        "bytes of file a finished task",
        bytes as f64 / tasks as f64,
        Some(200.0),
    );

    let (hub, seconds) = start(program, dir.path());
    note(figures, "start-done", "seconds to start with all of them done", seconds, Some(1.0));
    let mut calls: Vec<f64> = (0..STATUS_CALLS)
        .map(|_| {
            let begin = Instant::now();
            status(&hub.endpoint);
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    note(
        figures,
        "status",
        "milliseconds of a status then, the median",
        median(&mut calls),
        Some(50.0),
    );
}

fn unfinished(figures: &mut Figures, program: &Path, below: &Path, tasks: u64) {
    let dir = TempDir::with_prefix_in("dhub-growth", below).expect("a directory");
    let (hub, _) = start(program, dir.path());
    let empty = hub.memory_bytes();
    create(&hub, tasks);
    hub.stop();
    let (hub, seconds) = start(program, dir.path());
    let title = "seconds to start with a fifth as many unfinished tasks";
    note(figures, "start", title, seconds, Some(3.0));
    let beyond_name = per_task(hub.memory_bytes(), empty, tasks) - NAME_BYTES as f64;
    let title = "bytes of memory an unfinished task after that, beyond its name";
    note(figures, "memory-start", title, beyond_name, None);
    let counts = status(&hub.endpoint).counts.expect("counts");
    assert_eq!(counts.waiting + counts.ready, tasks, "{counts:?}");
}

/// Measures, prints, writes; true if all that is asked is met.
pub fn measure(
    program: &Path,
    below: &Path,
    divide: u64,
    json: Option<&Path>,
) -> Result<bool, String> {
    let tasks = (TASKS / divide.max(1)).max(2 * WIDTH);
    let mut figures = Figures::new();
    finished(&mut figures, program, below, tasks);
    unfinished(&mut figures, program, below, tasks / UNFINISHED);
    println!("{tasks} tasks, one dependency and {NAME_BYTES} bytes of name each");
    println!("{}", table(&figures));
    if let Some(path) = json {
        write(path, tasks, &figures).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(figures.values().all(|figure| figure.met))
}

fn table(figures: &Figures) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["", "figure", "must", ""]);
    for (key, it) in figures {
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let met = match (it.must, it.met) {
            (None, _) => "",
            (Some(_), true) => "met",
            (Some(_), false) => "NOT MET",
        };
        table.add_row([
            Cell::new(format!("{key}\n  {}", it.title)),
            number(digits(it.figure)),
            number(it.must.map(digits).unwrap_or_default()),
            Cell::new(met),
        ]);
    }
    table.to_string()
}

/// Beside what the file has already.
fn write(path: &Path, tasks: u64, figures: &Figures) -> std::io::Result<()> {
    let mut report: serde_json::Value = match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => serde_json::json!({ "version": dhub_proto::VERSION }),
    };
    report["growth"] = serde_json::json!({ "tasks": tasks, "figures": figures });
    std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")
}
