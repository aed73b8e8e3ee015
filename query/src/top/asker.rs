//! Asks the hub in threads of their own: one that looks at the whole each second, one for pages, and
//! one for single tasks and what people want done. A page that takes long delays only other pages.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use dhub_proto::wire::{self, Listed, Shown, StatusReport, WorkerInfo};

use super::deed::Deed;
use super::happening::Happening;
use super::window::Query;
use crate::failure::Failure;
use crate::hub::{Hub, ask};

/// What the screen wants to know, or to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Status,
    Tasks(Query),
    /// All of them, of a hub that has more than a status tells.
    Workers,
    Show(String),
    Do(Deed),
}

pub enum Answer {
    Status(Box<StatusReport>),
    Tasks(Listed),
    Workers(Vec<WorkerInfo>),
    Shown(Box<Shown>),
    /// What came of it, in a sentence.
    Done(String),
    /// A newer question of that kind came before it was asked.
    Superseded,
}

pub struct Heard {
    pub ask: Ask,
    pub took: Duration,
    pub answer: Result<Answer, Failure>,
}

pub struct Askers {
    pulse: Sender<Ask>,
    pages: Sender<Ask>,
    deeds: Sender<Ask>,
}

impl Askers {
    pub fn start(hub: &Hub, into: &Sender<Happening>) -> Self {
        let start = |newest_only| {
            let (sender, asks) = channel();
            let (hub, into) = (hub.another(), into.clone());
            thread::spawn(move || serve(hub, &asks, &into, newest_only));
            sender
        };
        Self { pulse: start(false), pages: start(true), deeds: start(false) }
    }

    pub fn ask(&self, ask: Ask) {
        let thread = match ask {
            Ask::Status => &self.pulse,
            Ask::Tasks(_) | Ask::Workers => &self.pages,
            Ask::Show(_) | Ask::Do(_) => &self.deeds,
        };
        // They listen until the program ends.
        let _ = thread.send(ask);
    }
}

fn serve(mut hub: Hub, asks: &Receiver<Ask>, into: &Sender<Happening>, newest_only: bool) {
    while let Ok(mut ask) = asks.recv() {
        let tell =
            |ask, took, answer| into.send(Happening::Heard(Heard { ask, took, answer })).is_ok();
        while newest_only && let Ok(newer) = asks.try_recv() {
            let older = std::mem::replace(&mut ask, newer);
            if !tell(older, Duration::ZERO, Ok(Answer::Superseded)) {
                return;
            }
        }
        let begin = Instant::now();
        let answer = answer(&ask, &mut hub);
        if !tell(ask, begin.elapsed(), answer) {
            return;
        }
    }
}

fn answer(ask: &Ask, hub: &mut Hub) -> Result<Answer, Failure> {
    Ok(match ask {
        Ask::Status => {
            let report = ask!(hub, Status(wire::Status {}) => Status);
            Answer::Status(Box::new(report))
        }
        Ask::Tasks(query) => Answer::Tasks(ask!(hub, List(query.list()) => Listed)),
        Ask::Workers => Answer::Workers(workers(hub)?),
        Ask::Show(name) => {
            let shown = ask!(hub, Show(wire::Show { name: name.clone() }) => Shown);
            Answer::Shown(Box::new(shown))
        }
        Ask::Do(deed) => Answer::Done(deed.carry_out(hub)?),
    })
}

fn workers(hub: &mut Hub) -> Result<Vec<WorkerInfo>, Failure> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = ask!(hub, Workers(wire::Workers { limit: 0, after }) => Workers);
        all.extend(page.workers);
        after = page.next;
        if after == 0 {
            return Ok(all);
        }
    }
}
