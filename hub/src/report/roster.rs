//! The workers, as people look at them.

use dhub_proto::limits::PAGE_BYTES_MAX;
use dhub_proto::{output, wire};

use crate::dialect::native::info;
use crate::engine::keyname;
use crate::engine::message::{Millis, Order, Who, WorkerId};
use crate::engine::scheduler::{Scheduler, Worker};
use crate::report::monitor::Monitor;

/// Leases looked at for one page: each says whether its process runs.
const LEASES_MAX: usize = 100_000;
/// A loop of a shell asks for the next task sooner than this after it has told of the last.
const AWAY_AFTER_MS: u64 = 5_000;

pub struct Roster<'a> {
    pub now: Millis,
    pub scheduler: &'a Scheduler,
    pub monitor: &'a Monitor,
    pub worker_timeout_ms: u64,
}

impl Roster<'_> {
    /// Up to `limit` workers after an id; fewer if they hold much. There is always one, if any.
    pub fn page(&self, limit: usize, after: WorkerId) -> wire::WorkersListed {
        let mut page = wire::WorkersListed::default();
        let (mut last, mut bytes, mut leases) = (after, 0, 0);
        for (id, worker) in self.scheduler.workers_after(after).filter(|(_, it)| is_here(it)) {
            if page.workers.len() >= limit || bytes > PAGE_BYTES_MAX || leases > LEASES_MAX {
                page.next = last.into();
                break;
            }
            let info = self.info(id, worker);
            bytes += 128 + info.name.len() + info.note.len() + info.output_files.len();
            leases += worker.leases.len();
            page.workers.push(info);
            last = id;
        }
        page
    }

    /// The first by name, those alive before the lost ones, and how many there are.
    pub fn first(&self, most: usize) -> (Vec<wire::WorkerInfo>, u64) {
        let mut here: Vec<(WorkerId, &Worker)> =
            self.scheduler.workers().filter(|(_, worker)| is_here(worker)).collect();
        here.sort_unstable_by(|&(_, a), &(_, b)| {
            (self.is_lost(a), &a.who.name, a.who.id).cmp(&(self.is_lost(b), &b.who.name, b.who.id))
        });
        let total = here.len() as u64;
        (here.into_iter().take(most).map(|(id, worker)| self.info(id, worker)).collect(), total)
    }

    /// Where a task runs, and the file that it writes there, if its worker lets it.
    pub fn running_at(&self, name: &str) -> wire::AttemptInfo {
        let Some(task) = self.scheduler.find(name) else {
            return wire::AttemptInfo::default();
        };
        let Some(worker) = self.scheduler.worker(task.holder) else {
            return wire::AttemptInfo::default();
        };
        let Who { name: of, host, key, .. } = &worker.who;
        let template = self.monitor.load(task.holder).map_or("", |load| &load.output_files);
        let file = match template {
            "" => String::new(),
            template => output::path(template, name, task.attempt, of, host).display().to_string(),
        };
        wire::AttemptInfo {
            host: host.to_string(),
            output_file: file,
            key: keyname::shown(key).into(),
            ..Default::default()
        }
    }

    fn info(&self, id: WorkerId, worker: &Worker) -> wire::WorkerInfo {
        let load = self.monitor.load(id).cloned().unwrap_or_default();
        let order = match worker.order {
            Order::None => wire::Order::Unspecified,
            Order::Drain => wire::Order::Drain,
            Order::Stop => wire::Order::Stop,
        };
        wire::WorkerInfo {
            name: worker.who.name.to_string(),
            id: worker.who.id.map(Vec::from).unwrap_or_default(),
            leases: worker.leases.len() as u64,
            started: self.scheduler.started(worker),
            done: worker.done,
            failed: worker.failed,
            last_seen_ago_ms: self.silent_ms(worker),
            lost: self.is_lost(worker),
            away: self.is_away(id, worker),
            sample: load.sample.map(info::sample),
            note: load.note,
            host: worker.who.host.to_string(),
            order: order.into(),
            output_files: load.output_files,
            key: keyname::shown(&worker.who.key).into(),
        }
    }

    fn silent_ms(&self, worker: &Worker) -> u64 {
        self.now.saturating_sub(worker.last_seen)
    }

    /// Nothing says that somebody is still there who works under this name.
    fn is_away(&self, id: WorkerId, worker: &Worker) -> bool {
        let waits = !worker.leases.is_empty() || self.scheduler.has_parked(id);
        worker.who.id.is_none() && !waits && self.silent_ms(worker) > AWAY_AFTER_MS
    }

    fn is_lost(&self, worker: &Worker) -> bool {
        worker.who.id.is_some() && self.silent_ms(worker) > self.worker_timeout_ms
    }
}

/// One that said Exit is gone, unless it was given something since.
fn is_here(worker: &Worker) -> bool {
    !worker.left || !worker.leases.is_empty()
}
