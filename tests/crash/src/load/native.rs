//! A worker with an id: reports well and badly, gives back, holds for long, forgets, comes late.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use dhub_proto::wire;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Attempt, ErrorCode, Release, Stolen, Worker};

use crate::journal::{Kind, Lease, Outcome};
use crate::link::Link;
use crate::plan::Key;
use crate::shared::Shared;

const PARKED: Duration = Duration::from_millis(100);

pub fn run(shared: &Shared, client: u64, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let link = Link::native(shared, random.u64(..));
    let mut worker =
        Native { shared, link, random, client, id: Worker::default(), number: 0, held: Vec::new() };
    worker.begin_anew();
    while !shared.stops() && worker.turn().is_some() {}
}

/// What is done with a task.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Report(Outcome),
    Release,
    /// Reported at that time, with heartbeats before.
    Hold(Instant),
    /// Reported at that time, without: perhaps too late.
    Forget(Instant),
}

struct Held {
    key: Key,
    attempt: u32,
    fate: Fate,
}

struct Native<'a> {
    shared: &'a Shared,
    link: Link<'a>,
    random: fastrand::Rng,
    /// Tells its lives apart: another one with each new id.
    client: u64,
    id: Worker,
    number: u64,
    held: Vec<Held>,
}

impl Native<'_> {
    /// As a process that was killed and started again.
    fn begin_anew(&mut self) {
        self.client += 1 << 32;
        let id = (0..16).map(|_| self.random.u8(..)).collect();
        self.id = Worker { name: format!("native{}", self.client as u32), id, ..Worker::default() };
        self.number = 0;
        self.held.clear();
    }

    /// None: the run is over.
    fn turn(&mut self) -> Option<()> {
        match self.random.u32(0..600) {
            0 => self.begin_anew(),
            1 => {
                self.link.ask(Body::Exit(wire::Exit { worker: Some(self.id.clone()) }))?;
                self.begin_anew();
            }
            2..20 => self.beat()?,
            _ => {}
        }
        self.release()?;
        if self.complete()? {
            return Some(());
        }
        self.number += 1;
        let (asked, n) = (self.shared.journal().now(), self.random.u32(1..=8));
        let steal = wire::Steal {
            worker: Some(self.id.clone()),
            number: self.number,
            n,
            wait_ms: PARKED.as_millis() as u64,
            stay: true,
            ..wire::Steal::default()
        };
        match self.link.ask_parked(Body::Steal(steal), PARKED)?.body {
            Answer::Stolen(stolen) => self.take(stolen, asked),
            other => self.wrong("stolen", &other),
        }
        Some(())
    }

    fn take(&mut self, stolen: Stolen, asked: u64) {
        self.lose(&stolen.lost);
        let mut journal = self.shared.journal();
        for lease in stolen.leases {
            let Some(key) = Key::parse(&lease.name) else {
                journal.fault(Kind::Wrong, format!("nobody added {}", lease.name));
                continue;
            };
            let attempt = lease.attempt;
            let (client, number) = (self.client, self.number);
            journal.leased(Lease { key, attempt, client, number, asked });
            let fate = fate(&mut self.random, self.shared.drains());
            self.held.push(Held { key, attempt, fate });
        }
    }

    fn lose(&mut self, lost: &[Attempt]) {
        self.held.retain(|held| {
            let is_it = |it: &&Attempt| it.attempt == held.attempt && it.name == held.key.name();
            // What comes late is reported all the same.
            matches!(held.fate, Fate::Forget(_)) || !lost.iter().any(|it| is_it(&it))
        });
    }

    fn beat(&mut self) -> Option<()> {
        let held = self.held.iter().filter(|held| !matches!(held.fate, Fate::Forget(_)));
        let attempts = held.map(|held| Attempt { started: true, ..attempt(held) }).collect();
        let worker = Some(self.id.clone());
        let beat = wire::Heartbeat { worker, attempts, ..wire::Heartbeat::default() };
        match self.link.ask(Body::Heartbeat(beat))?.body {
            Answer::Heartbeaten(beaten) => self.lose(&beaten.lost),
            other => self.wrong("a heartbeat", &other),
        }
        Some(())
    }

    fn release(&mut self) -> Option<()> {
        let back: Vec<Held> = self.held.extract_if(.., |it| it.fate == Fate::Release).collect();
        if back.is_empty() {
            return Some(());
        }
        let attempts = back.iter().map(attempt).collect();
        let release = Release { worker: Some(self.id.clone()), attempts };
        match self.link.ask(Body::Release(release))?.body {
            Answer::Released(released) => {
                for refused in released.refused {
                    if refused.code() != ErrorCode::ErrorStale {
                        self.shared.journal().fault(Kind::Lost, format!("{refused:?}"));
                    }
                }
            }
            other => self.wrong("released", &other),
        }
        Some(())
    }

    /// Reports what is due, and steals in the same round trip. False: nothing is due.
    fn complete(&mut self) -> Option<bool> {
        let now = Instant::now();
        let due: Vec<Held> = self
            .held
            .extract_if(.., |held| match held.fate {
                Fate::Report(_) => true,
                Fate::Hold(until) | Fate::Forget(until) => until <= now,
                Fate::Release => false,
            })
            .collect();
        if due.is_empty() {
            return Some(false);
        }
        let mut journal = self.shared.journal();
        due.iter().for_each(|held| journal.outcome_sent(held.key, outcome(held)));
        let asked = journal.now();
        drop(journal);
        self.number += 1;
        let complete = wire::Complete {
            worker: Some(self.id.clone()),
            outcomes: due.iter().map(report).collect(),
            want: self.random.u32(0..=6),
            number: self.number,
            ..wire::Complete::default()
        };
        let completed = match self.link.ask(Body::Complete(complete))?.body {
            Answer::Completed(completed) => completed,
            other => {
                self.wrong("completed", &other);
                return Some(true);
            }
        };
        let refused = completed.refused.iter();
        let stale: HashSet<(&str, u32)> =
            refused.clone().map(|it| (it.name.as_str(), it.attempt)).collect();
        let mut journal = self.shared.journal();
        for held in &due {
            if !stale.contains(&(held.key.name().as_str(), held.attempt)) {
                journal.outcome_acknowledged(held.key, held.attempt, outcome(held));
            }
        }
        for it in refused {
            if let Some(key) = Key::parse(&it.name) {
                journal.outcome_refused(key, it.attempt, it.code() == ErrorCode::ErrorStale);
            }
        }
        drop(journal);
        if let Some(stolen) = completed.stolen {
            self.take(stolen, asked);
        }
        Some(true)
    }

    fn wrong(&self, wanted: &str, answer: &Answer) {
        self.shared.journal().fault(Kind::Wrong, format!("not {wanted}: {answer:?}"));
    }
}

fn fate(random: &mut fastrand::Rng, drains: bool) -> Fate {
    let later = |ms| Instant::now() + Duration::from_millis(ms);
    match random.u32(0..100) {
        0..5 => Fate::Report(Outcome::Failed),
        5..10 => Fate::Release,
        10..14 if !drains => Fate::Hold(later(random.u64(50..1_500))),
        14..16 if !drains => Fate::Forget(later(random.u64(800..2_500))),
        _ => Fate::Report(Outcome::Done),
    }
}

fn outcome(held: &Held) -> Outcome {
    match held.fate {
        Fate::Report(outcome) => outcome,
        _ => Outcome::Done,
    }
}

fn attempt(held: &Held) -> Attempt {
    Attempt { name: held.key.name(), attempt: held.attempt, started: false }
}

fn report(held: &Held) -> wire::Outcome {
    let (result, exit_code) = match outcome(held) {
        Outcome::Done => (wire::Result::Done, 0),
        Outcome::Failed => (wire::Result::Failed, 3),
    };
    wire::Outcome {
        name: held.key.name(),
        attempt: held.attempt,
        result: result.into(),
        exit_code,
        ..wire::Outcome::default()
    }
}
