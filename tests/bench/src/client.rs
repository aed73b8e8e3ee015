//! What the clients of a run do, in either dialect.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dhub_proto::Message;
use dhub_proto::dwork::{Dep, QueryMsg, TaskMsg, query_msg::Type};
use dhub_proto::wire::{self, reply, request};

use crate::lanes::Lane;

const HOST: &str = "bench";

/// The same frame again and again, for some time.
pub struct Echo {
    frame: Vec<u8>,
    time: Duration,
    begin: Option<Instant>,
}

impl Echo {
    pub fn lane(frame: Vec<u8>, time: Duration) -> Box<dyn Lane> {
        Box::new(Self { frame, time, begin: None })
    }
}

impl Lane for Echo {
    fn next(&mut self, _: Option<&[u8]>) -> Option<Vec<u8>> {
        let begin = *self.begin.get_or_insert_with(Instant::now);
        (begin.elapsed() < self.time).then(|| self.frame.clone())
    }
}

/// Tasks to add: names, and what each needs.
pub trait Graph: Send {
    fn name(&self, i: u64) -> String;
    fn needs(&self, i: u64) -> Vec<String>;
}

/// Tasks that need nothing.
#[derive(Clone)]
pub struct Bag {
    pub prefix: String,
}

impl Graph for Bag {
    fn name(&self, i: u64) -> String {
        format!("{}{i:08}", self.prefix)
    }

    fn needs(&self, _: u64) -> Vec<String> {
        Vec::new()
    }
}

/// Rows of tasks; each needs three of the row before, the ends are joined.
#[derive(Clone)]
pub struct Stencil {
    pub prefix: String,
    pub width: u64,
}

impl Graph for Stencil {
    fn name(&self, i: u64) -> String {
        format!("{}{}.{}", self.prefix, i / self.width, i % self.width)
    }

    fn needs(&self, i: u64) -> Vec<String> {
        let (row, column) = (i / self.width, i % self.width);
        if row == 0 {
            return Vec::new();
        }
        let above = |step| self.name((row - 1) * self.width + (column + step) % self.width);
        [self.width - 1, 0, 1].map(above).to_vec()
    }
}

/// Each needs two of the tasks before it.
#[derive(Clone)]
pub struct Tree;

impl Graph for Tree {
    fn name(&self, i: u64) -> String {
        format!("task{i:08}")
    }

    fn needs(&self, i: u64) -> Vec<String> {
        [i / 2, i / 3].into_iter().filter(|&need| need < i).map(|need| self.name(need)).collect()
    }
}

/// Adds a graph in batches, made beforehand: what a client needs to make them is not the hub's.
pub struct Create {
    frames: std::vec::IntoIter<Vec<u8>>,
}

impl Create {
    pub fn lane(graph: impl Graph, total: u64, batch: u64) -> Box<dyn Lane> {
        let frames = in_batches(total, batch, |tasks| create(&graph, tasks));
        Box::new(Self { frames })
    }
}

impl Lane for Create {
    fn next(&mut self, reply: Option<&[u8]>) -> Option<Vec<u8>> {
        if let Some(reply) = reply {
            let reply = QueryMsg::decode(reply).expect("a reply");
            assert_eq!(reply.r#type(), Type::Ok, "{reply:?}");
        }
        self.frames.next()
    }
}

/// The same in the native dialect.
pub struct NativeCreate {
    frames: std::vec::IntoIter<Vec<u8>>,
}

impl NativeCreate {
    pub fn lane(graph: impl Graph, total: u64, batch: u64) -> Box<dyn Lane> {
        let task =
            |i| wire::Task { name: graph.name(i), needs: graph.needs(i), ..wire::Task::default() };
        let frames = in_batches(total, batch, |tasks| {
            let tasks = tasks.map(task).collect();
            request(request::Body::Create(wire::Create { tasks }))
        });
        Box::new(Self { frames })
    }
}

impl Lane for NativeCreate {
    fn next(&mut self, reply: Option<&[u8]>) -> Option<Vec<u8>> {
        if let Some(reply) = reply {
            let reply = wire::Reply::decode(reply).expect("a reply");
            assert!(matches!(reply.body, Some(reply::Body::Created(_))), "{reply:?}");
        }
        self.frames.next()
    }
}

fn in_batches(
    total: u64,
    batch: u64,
    frame: impl Fn(Range<u64>) -> Vec<u8>,
) -> std::vec::IntoIter<Vec<u8>> {
    let begins = (0..total).step_by(batch as usize);
    begins.map(|from| frame(from..total.min(from + batch))).collect::<Vec<_>>().into_iter()
}

fn create(graph: &impl Graph, tasks: Range<u64>) -> Vec<u8> {
    let dep = |name| Dep { name: Some(name), location: None };
    let task = tasks.map(|i| TaskMsg {
        pred: graph.needs(i).into_iter().map(dep).collect(),
        ..named(graph.name(i))
    });
    QueryMsg { task: task.collect(), ..query(Type::Create) }.encode_to_vec()
}

fn query(kind: Type) -> QueryMsg {
    QueryMsg { r#type: Some(kind.into()), ..QueryMsg::default() }
}

fn named(name: String) -> TaskMsg {
    TaskMsg { name: Some(name), origin: Some(HOST.into()), ..TaskMsg::default() }
}

/// Steals and completes in turn, as programs written for dwork do.
pub struct DworkLoop {
    steal: Vec<u8>,
    location: String,
    held: bool,
    done: Arc<AtomicU64>,
    total: u64,
}

impl DworkLoop {
    pub fn lane(worker: usize, n: u32, done: &Arc<AtomicU64>, total: u64) -> Box<dyn Lane> {
        let location = format!("bench{worker}");
        let (n, place) = (Some(n as i32), Some(location.clone()));
        let steal = QueryMsg { n, location: place, ..query(Type::Steal) }.encode_to_vec();
        Box::new(Self { steal, location, held: false, done: done.clone(), total })
    }
}

impl Lane for DworkLoop {
    fn next(&mut self, reply: Option<&[u8]>) -> Option<Vec<u8>> {
        let Some(reply) = reply else {
            return Some(self.steal.clone());
        };
        let reply = QueryMsg::decode(reply).expect("a reply");
        match reply.r#type() {
            Type::Ok if self.held => {
                self.held = false;
                (self.done.load(Ordering::Relaxed) < self.total).then(|| self.steal.clone())
            }
            Type::Transfer if !self.held => {
                self.held = true;
                self.done.fetch_add(reply.task.len() as u64, Ordering::Relaxed);
                let task = reply.task.into_iter().map(|it| named(it.name.unwrap_or_default()));
                let location = Some(self.location.clone());
                let complete = QueryMsg { task: task.collect(), location, ..query(Type::Complete) };
                Some(complete.encode_to_vec())
            }
            // Others hold what is left, or what the rest waits for.
            Type::NotFound => {
                (self.done.load(Ordering::Relaxed) < self.total).then(|| self.steal.clone())
            }
            Type::Exit => None,
            _ => panic!("{reply:?}"),
        }
    }
}

/// Reports one task and asks for the next in the same round trip.
pub struct NativeLoop {
    worker: wire::Worker,
    number: u64,
}

impl NativeLoop {
    pub fn lane(worker: usize) -> Box<dyn Lane> {
        let mut id = vec![0xbe; 16];
        id[..8].copy_from_slice(&(worker as u64).to_le_bytes());
        Box::new(Self {
            worker: wire::Worker { name: format!("bench{worker}"), id, ..wire::Worker::default() },
            number: 0,
        })
    }
}

impl Lane for NativeLoop {
    fn next(&mut self, reply: Option<&[u8]>) -> Option<Vec<u8>> {
        let outcomes: Vec<wire::Outcome> = match reply.map(stolen) {
            None => Vec::new(),
            Some(stolen) if stolen.leases.is_empty() => return None,
            Some(stolen) => stolen.leases.into_iter().map(done).collect(),
        };
        self.number += 1;
        let complete = wire::Complete {
            worker: Some(self.worker.clone()),
            outcomes,
            want: 1,
            number: self.number,
            ..wire::Complete::default()
        };
        Some(request(request::Body::Complete(complete)))
    }
}

fn done(lease: wire::Lease) -> wire::Outcome {
    let result = wire::Result::Done.into();
    wire::Outcome { name: lease.name, attempt: lease.attempt, result, ..wire::Outcome::default() }
}

fn stolen(reply: &[u8]) -> wire::Stolen {
    match wire::Reply::decode(reply).expect("a reply").body {
        Some(reply::Body::Completed(completed)) => {
            assert!(completed.refused.is_empty(), "{completed:?}");
            completed.stolen.expect("what was wanted")
        }
        Some(reply::Body::Stolen(stolen)) => stolen,
        other => panic!("{other:?}"),
    }
}

pub fn request(body: request::Body) -> Vec<u8> {
    wire::Request { id: 1, body: Some(body), ..wire::Request::default() }.encode_to_vec()
}
