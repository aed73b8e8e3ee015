//! Where the time of one task goes in the hub's own thread: no sockets, no store.
//!
//! The clients of the other cases talk to the hub's parts in turn, as its loop does: all frames of
//! a turn are decoded, carried out, committed to nowhere and answered. CPU time of this thread, so
//! that what else runs on the machine does not count.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use comfy_table::{CellAlignment, Table, presets};
use dhub::dialect::dwork;
use dhub::dialect::native;
use dhub::engine::archive;
use dhub::engine::archive::Archive;
use dhub::engine::archive::Page;
use dhub::engine::message::*;
use dhub::engine::message::{AttemptRow, TaskRow};
use dhub::engine::scheduler::{Config, Scheduler};
use dhub_proto::limits::*;
use dhub_proto::{Message, wire};
use rustix::time::{ClockId, clock_gettime};

use crate::client::{Bag, Create, DworkLoop, NativeCreate, NativeLoop, Stencil, Tree};
use crate::lanes::Lane;

struct Case {
    key: &'static str,
    tasks: u64,
    /// Workers that want tasks and have no place.
    placeless: u32,
    /// What is there before the clients come.
    fill: Option<fn(u64) -> Box<dyn Lane>>,
    clients: fn(u64) -> Vec<Box<dyn Lane>>,
}

impl Case {
    const fn new(
        key: &'static str,
        tasks: u64,
        fill: Option<fn(u64) -> Box<dyn Lane>>,
        clients: fn(u64) -> Vec<Box<dyn Lane>>,
    ) -> Self {
        Self { key, tasks, placeless: 0, fill, clients }
    }
}

const CASES: [Case; 10] = [
    Case::new("steal-1", 100_000, Some(fill_bag), |tasks| steal(16, 1, tasks)),
    Case {
        placeless: 20_000,
        ..Case::new("steal-1-full", 10_000, Some(fill_bag), |tasks| steal(16, 1, tasks))
    },
    Case::new("native-1", 100_000, Some(fill_bag), |_| (0..16).map(NativeLoop::lane).collect()),
    Case::new("steal-16", 200_000, Some(fill_bag), |tasks| steal(4, 16, tasks)),
    Case::new("steal-256", 200_000, Some(fill_bag), |tasks| steal(4, 256, tasks)),
    Case::new("create-16", 200_000, None, |tasks| vec![Create::lane(bag(), tasks, 16)]),
    Case::new("create-256", 200_000, None, |tasks| vec![Create::lane(bag(), tasks, 256)]),
    Case::new("stencil-create", 200_000, None, |tasks| vec![fill_stencil(tasks)]),
    Case::new("stencil", 200_000, Some(fill_stencil), |tasks| steal(4, 16, tasks)),
    Case::new("addfile", 200_000, None, |tasks| vec![NativeCreate::lane(Tree, tasks, 1_000)]),
];

fn bag() -> Bag {
    Bag { prefix: "run0.task".into() }
}

fn fill_bag(tasks: u64) -> Box<dyn Lane> {
    Create::lane(bag(), tasks, 1_000)
}

fn fill_stencil(tasks: u64) -> Box<dyn Lane> {
    Create::lane(Stencil { prefix: "run0.task".into(), width: 1_000 }, tasks, 1_000)
}

fn steal(workers: usize, n: u32, tasks: u64) -> Vec<Box<dyn Lane>> {
    let done = Arc::new(AtomicU64::new(0));
    (0..workers).map(|worker| DworkLoop::lane(worker, n, &done, tasks)).collect()
}

/// Nanoseconds in each part of the way.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    decode: f64,
    apply: f64,
    encode: f64,
    drop: f64,
}

impl Spent {
    fn sum(&self) -> f64 {
        self.decode + self.apply + self.encode + self.drop
    }
}

/// A store that has nothing.
struct Nothing;

impl Archive for Nothing {
    type Error = Infallible;

    fn task(&self, _: &str) -> Result<Option<PastTask>, Infallible> {
        Ok(None)
    }

    fn worker(&self, _: &Who) -> Result<Option<(WorkerId, Name)>, Infallible> {
        Ok(None)
    }

    fn row(&self, _: &str) -> Result<Option<TaskRow>, Infallible> {
        Ok(None)
    }

    fn row_by_id(&self, _: TaskId) -> Result<Option<TaskRow>, Infallible> {
        Ok(None)
    }

    fn page(&self, _: Page, _: TaskId, _: usize) -> Result<Vec<TaskRow>, Infallible> {
        Ok(Vec::new())
    }

    fn page_before(&self, _: Page, _: TaskId, _: usize) -> Result<Vec<TaskRow>, Infallible> {
        Ok(Vec::new())
    }

    fn matching(
        &self,
        _: dhub::engine::archive::Page,
        _: &[Name],
        _: TaskId,
        _: bool,
        _: usize,
    ) -> Result<dhub::engine::archive::Matching, Self::Error> {
        Ok(dhub::engine::archive::Matching::default())
    }

    fn last_attempt(
        &self,
        _: TaskId,
        _: bool,
    ) -> Result<Option<dhub::engine::message::AttemptRow>, Self::Error> {
        Ok(None)
    }

    fn skipped_for(
        &self,
        _: TaskId,
        _: TaskId,
        _: usize,
    ) -> Result<Vec<(TaskId, Vec<TaskId>)>, Infallible> {
        Ok(Vec::new())
    }

    fn needs(&self, _: TaskId) -> Result<Vec<TaskId>, Infallible> {
        Ok(Vec::new())
    }

    fn attempts_after(&self, _: TaskId, _: u32, _: usize) -> Result<Vec<AttemptRow>, Infallible> {
        Ok(Vec::new())
    }

    fn revived(&self, _: TaskId, _: bool) -> Result<Option<Revived>, Infallible> {
        Ok(None)
    }

    fn name(&self, _: TaskId) -> Result<String, Infallible> {
        Ok(String::new())
    }

    fn copy_to(&self, _: &std::path::Path) -> Result<dhub::engine::archive::Copying, Answer> {
        unreachable!("nobody asks for a copy")
    }
}

struct Core {
    scheduler: Scheduler,
    last_ticket: Ticket,
    spent: Spent,
    /// What reading the clock takes by itself.
    clock: f64,
}

fn cpu_ns() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn clock_cost() -> f64 {
    let begin = cpu_ns();
    for _ in 0..9_999 {
        std::hint::black_box(cpu_ns());
    }
    (cpu_ns() - begin) / 10_000.0
}

/// A request on its way: where it would be answered, and how.
#[derive(Clone, Copy)]
enum Dialect {
    Dwork,
    Native(u64),
}

impl Core {
    fn new() -> Self {
        let scheduler = Scheduler::new(Config {
            worker_timeout_ms: 30_000,
            lease_ms: 3_600_000,
            parked_requests_max: PARKED_REQUESTS_MAX,
            needs_max: NEEDS_MAX,
            leases_bytes_max: LEASES_BYTES_MAX,
            reclaims_max: RECLAIMS_MAX,
            skips_max: 2_000,
            retry_delay_ms: 1_000,
            inherit_priority: true,
        });
        Self { scheduler, last_ticket: 0, spent: Spent::default(), clock: clock_cost() }
    }

    /// A hub that has a place for nobody, and so many workers that wait for one.
    fn park(&mut self, placeless: u32) {
        if placeless == 0 {
            return;
        }
        self.scheduler.set_places(0);
        for number in 0..u128::from(placeless) {
            let id = number.to_le_bytes();
            let name = Name::from(format!("idle{number}"));
            let who = Who { name, id: Some(id), host: Name::default(), key: Name::default() };
            let (client, wait_ms) = (Some(id), WAIT_MS_MAX);
            let steal = Steal {
                client,
                number: 1,
                n: 1,
                wait_ms,
                lease_ms: 0,
                stay: true,
                replaces: 0,
                slots: 0,
                waiting: 0,
            };
            self.last_ticket += 1;
            let ticket = self.last_ticket;
            let request = Request { ticket, who, body: Body::Steal(steal) };
            self.scheduler.apply(0, request, &Past::new());
        }
        assert!(self.scheduler.take_answers().is_empty());
    }

    /// All clients to their end, one request of each a turn.
    fn drive(&mut self, mut lanes: Vec<Box<dyn Lane>>) {
        let mut frames: Vec<Option<Vec<u8>>> =
            lanes.iter_mut().map(|lane| lane.next(None)).collect();
        while frames.iter().any(Option::is_some) {
            let open: Vec<usize> = (0..lanes.len()).filter(|&i| frames[i].is_some()).collect();
            let requests: Vec<Vec<u8>> = open.iter().filter_map(|&i| frames[i].take()).collect();
            let replies = self.turn(&requests);
            assert_eq!(replies.len(), open.len());
            for (i, reply) in open.into_iter().zip(replies) {
                frames[i] = lanes[i].next(Some(&reply));
            }
        }
    }

    #[inline(never)]
    fn turn(&mut self, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let begin = cpu_ns();
        let asked: Vec<(Dialect, Request)> =
            frames.iter().map(|frame| self.decode(frame)).collect();
        let decoded = cpu_ns();
        let mut dialects = Vec::with_capacity(asked.len());
        for (dialect, request) in asked {
            dialects.push(dialect);
            archive::carry_out(&mut self.scheduler, &Nothing, 0, request).expect("nothing fails");
        }
        let applied = cpu_ns();
        drop(self.scheduler.take_changes());
        self.scheduler.committed(self.last_ticket);
        self.scheduler.folded(self.last_ticket);
        let dropped = cpu_ns();
        let answers = self.scheduler.take_answers();
        let replies = answers.into_iter().zip(dialects).map(|((_, answer), dialect)| {
            encode(&answer, dialect).expect("an answer that is for somebody")
        });
        let replies = replies.collect();
        let encoded = cpu_ns();
        self.spent.decode += decoded - begin - self.clock;
        self.spent.apply += applied - decoded - self.clock;
        self.spent.drop += dropped - applied - self.clock;
        self.spent.encode += encoded - dropped - self.clock;
        replies
    }

    fn decode(&mut self, frame: &[u8]) -> (Dialect, Request) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if dwork::is_dwork(frame) {
            match dwork::decode(frame) {
                Some(dwork::Asked::Request(request)) => {
                    (Dialect::Dwork, Request { ticket, ..request })
                }
                other => panic!("{other:?}"),
            }
        } else {
            let request = wire::Request::decode(frame).expect("a request");
            match native::decode(request.body) {
                Ok(native::Asked::Request(asked)) => {
                    (Dialect::Native(request.id), Request { ticket, ..asked })
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn encode(answer: &Answer, dialect: Dialect) -> Option<Vec<u8>> {
    match dialect {
        Dialect::Dwork => dwork::encode(answer, "bench", 1),
        Dialect::Native(id) => {
            let details = |_: &_| Ok::<_, Infallible>(Some(Details::default()));
            let body = native::encode(answer, Default::default, details).expect("nothing fails");
            Some(wire::Reply { id, body }.encode_to_vec())
        }
    }
}

fn measure(case: &Case, scale: u64) -> Spent {
    let tasks = (case.tasks / scale).max(1_000);
    let mut core = Core::new();
    if let Some(fill) = case.fill {
        core.drive(vec![fill(tasks)]);
    }
    core.park(case.placeless);
    core.spent = Spent::default();
    core.drive((case.clients)(tasks));
    let each = |ns: f64| ns / tasks as f64;
    let Spent { decode, apply, encode, drop } = core.spent;
    Spent { decode: each(decode), apply: each(apply), encode: each(encode), drop: each(drop) }
}

/// Prints the table; of several runs, the one that took the median of time.
pub fn run(wanted: &[String], runs: usize, scale: u64) -> Result<(), String> {
    if let Some(unknown) = wanted.iter().find(|key| !CASES.iter().any(|case| case.key == **key)) {
        let known: Vec<&str> = CASES.iter().map(|case| case.key).collect();
        return Err(format!("there is no case {unknown}; there are {}", known.join(", ")));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["ns of CPU a task", "decode", "apply", "encode", "drop", "sum"]);
    for case in &CASES {
        if !wanted.is_empty() && !wanted.iter().any(|key| key == case.key) {
            continue;
        }
        let mut spent: Vec<Spent> = (0..runs.max(1)).map(|_| measure(case, scale)).collect();
        spent.sort_by(|a, b| a.sum().total_cmp(&b.sum()));
        let it = spent[spent.len() / 2];
        let numbers = [it.decode, it.apply, it.encode, it.drop, it.sum()];
        let mut row = vec![case.key.to_owned()];
        row.extend(numbers.map(|ns| format!("{ns:.0}")));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(())
}
