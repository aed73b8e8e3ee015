//! Workers that are told to leave: each answer to them says so, and they are given nothing more.

use std::collections::BTreeMap;

use dhub::engine::message::*;
use dhub::engine::scheduler::Scheduler;

use super::Check;

/// What each was told to do since the hub started, and what of that an answer has told it.
#[derive(Default)]
pub struct Orders(BTreeMap<WorkerId, Given>);

#[derive(Clone, Copy, Default)]
struct Given {
    order: Order,
    told: Order,
}

impl Orders {
    /// Before a request is carried out.
    pub fn note(&mut self, body: &Body, scheduler: &Scheduler) {
        let Body::Steer { workers, order } = body else {
            return;
        };
        for &id in workers {
            if scheduler.worker(id).is_some_and(|worker| !worker.left) {
                let given = self.0.entry(id).or_default();
                given.order = given.order.max(*order);
            }
        }
    }

    fn given(&self, worker: Option<WorkerId>) -> Given {
        worker.and_then(|id| self.0.get(&id)).copied().unwrap_or_default()
    }

    pub fn of(&self, worker: Option<WorkerId>) -> Order {
        self.given(worker).order
    }

    /// There is something new to tell it. One without an id is another process each time.
    pub fn has_news(&self, worker: Option<WorkerId>, who: &Who) -> bool {
        let given = self.given(worker);
        given.order != Order::None && (given.order != given.told || who.id.is_none())
    }

    /// An answer to it.
    pub fn tell(&mut self, worker: Option<WorkerId>, who: &Who, answer: &Answer) -> Check {
        let told = match answer {
            Answer::Stolen(stolen) | Answer::Completed { stolen: Some(stolen), .. } => stolen.order,
            Answer::Heartbeaten { order, .. } => *order,
            _ => return Ok(()),
        };
        let order = self.of(worker);
        if told != order {
            return Err(format!("{} is told {told:?}, and shall {order:?}", who.name));
        }
        if let Some(given) = worker.and_then(|id| self.0.get_mut(&id)) {
            given.told = told;
        }
        Ok(())
    }

    pub fn may_be_given(&self, worker: WorkerId) -> Check {
        match self.of(Some(worker)) {
            Order::None => Ok(()),
            order => Err(format!("worker {worker} shall {order:?}, and is given a task")),
        }
    }

    /// An order ends with its worker.
    pub fn forget_gone(&mut self, scheduler: &Scheduler) {
        self.0.retain(|&id, _| scheduler.worker(id).is_some_and(|worker| !worker.left));
    }
}
