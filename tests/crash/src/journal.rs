//! What the hub has acknowledged, kept outside of it, and the rules that show at once when an
//! answer contradicts an earlier one.
//!
//! What is noted here was said by the hub after its commit; what was only asked for is noted as
//! asked. Answers to different clients may be noted in another order than the hub gave them, so a
//! rule compares only what has an order: attempts, and what was asked after an answer was noted.

mod fault;
mod log;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dhub_proto::wire::State;

use crate::plan::{Group, Key};

pub use fault::{Fault, Kind};
use log::Log;
pub use log::parse_line;

/// Events kept for the analysis of a fault.
const EVENTS_MAX: usize = 200_000;
/// Newest tasks of each group that are looked at one by one.
const LATELY: usize = 2_000;

/// An attempt, and who asked for it in which request. Attempt 0: the dialect does not tell.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub key: Key,
    pub attempt: u32,
    pub client: u64,
    pub number: u64,
    /// `Journal::now` when the request was first sent.
    pub asked: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed,
}

/// What is known of a task.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record {
    pub sent: bool,
    pub created: bool,
    /// Somebody has reported it as done, or may have.
    pub done_sent: bool,
    /// When its end was noted; 0: never.
    pub done_at: u64,
    /// The attempt that ended well; 0: not known.
    pub done_attempt: u32,
    /// The newest that was given out.
    pub attempt: u32,
    /// When its cancellation was noted, and no retry was sent since.
    pub cancelled_at: u64,
    /// A cancellation or retry was sent twice: a late copy may have undone what came after it.
    pub unsure: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub created: u64,
    pub leased: u64,
    pub done: u64,
    pub failed: u64,
    pub refused: u64,
    pub cancelled: u64,
    pub ran: u64,
    /// Tasks of which an end as done is known.
    pub tasks_done: u64,
}

#[derive(Clone, Copy)]
struct Event {
    at: u64,
    what: &'static str,
    key: Key,
    attempt: u32,
    who: Holder,
}

/// Client and number of its request.
type Holder = (u64, u64);

/// Stands for the pools: they tell what they run in a file.
const POOL: u64 = u64::MAX;

#[derive(Default)]
pub struct Journal {
    now: u64,
    records: HashMap<Group, Vec<Record>>,
    /// Who got which attempt of tasks that are not known to be finished.
    holders: HashMap<Key, Vec<(u32, Holder)>>,
    /// Acknowledged failures.
    failures: HashSet<(Key, u32)>,
    /// What was acknowledged and not compared with the hub's view since.
    recent: HashSet<Key>,
    events: VecDeque<Event>,
    faults: Vec<Fault>,
    pub totals: Totals,
    log: Option<Log>,
}

impl Journal {
    /// `log` is the file to which pools append name and attempt of what they run.
    pub fn with_log(log: PathBuf) -> Self {
        Self { log: Some(Log::new(log)), ..Self::default() }
    }

    /// Larger with each thing noted.
    pub fn now(&self) -> u64 {
        self.now
    }

    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub fn fault(&mut self, kind: Kind, text: String) {
        self.faults.push(Fault { kind, text });
    }

    pub fn record(&self, key: Key) -> Record {
        let records = self.records.get(&key.group);
        records.and_then(|it| it.get(key.number as usize)).copied().unwrap_or_default()
    }

    pub fn records(&self) -> impl Iterator<Item = (Key, &Record)> {
        self.records.iter().flat_map(|(group, records)| {
            records.iter().zip(0..).map(|(record, number)| (group.task(number), record))
        })
    }

    /// One of the tasks that were added lately.
    pub fn any_recent(&self, random: &mut fastrand::Rng) -> Option<Key> {
        let group = *random.choice(Group::ALL.iter())?;
        let tasks = self.records.get(&group)?.len();
        let number = random.usize(tasks.saturating_sub(LATELY)..tasks);
        Some(group.task(number as u32))
    }

    pub fn failures(&self) -> &HashSet<(Key, u32)> {
        &self.failures
    }

    // --- what was asked and answered ---------------------------------------------------------

    pub fn create_sent(&mut self, keys: &[Key]) {
        keys.iter().for_each(|&key| self.edit(key).sent = true);
    }

    pub fn created(&mut self, keys: &[Key]) {
        for &key in keys {
            self.note("created", key, 0, (0, 0));
            self.totals.created += u64::from(!std::mem::replace(&mut self.edit(key).created, true));
        }
    }

    pub fn leased(&mut self, lease: Lease) {
        let Lease { key, attempt, client, number, asked } = lease;
        self.note("leased", key, attempt, (client, number));
        self.totals.leased += 1;
        let record = self.record(key);
        let what = format!("{} was given out as attempt {attempt}", key.name());
        if !record.sent {
            self.fault(Kind::Wrong, format!("{what}, and nobody ever added it"));
        }
        if record.done_at != 0 && asked > record.done_at {
            self.fault(Kind::Repeated, format!("{what} after it was acknowledged as done"));
        }
        if record.cancelled_at != 0 && asked > record.cancelled_at && !record.unsure {
            self.fault(Kind::Changed, format!("{what} after it was acknowledged as cancelled"));
        }
        self.held(key, attempt, (client, number));
        if self.need_not_done(key).is_some() {
            self.read_log();
        }
        if let Some(need) = self.need_not_done(key) {
            self.fault(Kind::Early, format!("{what} before {} was done", need.name()));
        }
    }

    pub fn outcome_sent(&mut self, key: Key, outcome: Outcome) {
        self.edit(key).done_sent |= outcome == Outcome::Done;
    }

    pub fn outcome_acknowledged(&mut self, key: Key, attempt: u32, outcome: Outcome) {
        let record = self.record(key);
        match outcome {
            Outcome::Done => {
                self.note("done", key, attempt, (0, 0));
                self.totals.done += 1;
                if record.cancelled_at != 0 && !record.unsure {
                    let text = format!("{} was acknowledged as cancelled, then done", key.name());
                    self.fault(Kind::Changed, text);
                }
                self.ended_well(key, attempt);
            }
            Outcome::Failed => {
                self.note("failed", key, attempt, (0, 0));
                self.totals.failed += 1;
                self.failures.insert((key, attempt));
                if record.done_attempt == attempt {
                    let text = format!("{} attempt {attempt} was done, then failed", key.name());
                    self.fault(Kind::Changed, text);
                }
            }
        }
    }

    /// STALE can be right in many ways; that the hub does not know what it gave out cannot.
    pub fn outcome_refused(&mut self, key: Key, attempt: u32, is_stale: bool) {
        self.note("refused", key, attempt, (0, 0));
        self.totals.refused += 1;
        if !is_stale {
            let text = format!("{} attempt {attempt} was given out and is unknown", key.name());
            self.fault(Kind::Lost, text);
        }
    }

    pub fn cancelled(&mut self, key: Key, repeated: bool) {
        self.note("cancelled", key, 0, (0, 0));
        self.totals.cancelled += 1;
        let now = self.now;
        let record = self.edit(key);
        record.cancelled_at = now;
        record.unsure |= repeated;
        if record.done_at != 0 && !record.unsure {
            let text = format!("{} was acknowledged as done, then cancelled", key.name());
            self.fault(Kind::Changed, text);
        }
    }

    pub fn retry_sent(&mut self, key: Key) {
        self.note("retry", key, 0, (0, 0));
        self.edit(key).cancelled_at = 0;
    }

    pub fn retry_answered(&mut self, key: Key, repeated: bool) {
        self.edit(key).unsure |= repeated;
    }

    /// A pool has begun this attempt.
    fn ran(&mut self, key: Key, attempt: u32) {
        self.totals.ran += 1;
        let number = self.totals.ran;
        self.note("ran", key, attempt, (POOL, number));
        self.held(key, attempt, (POOL, number));
        if let Some(need) = self.need_not_done(key) {
            let text = format!("{} ran before {} was done", key.name(), need.name());
            self.fault(Kind::Early, text);
        }
        self.edit(key).done_sent = true;
    }

    /// Takes in what pools have written since.
    pub fn read_log(&mut self) {
        let lines = match self.log.as_mut().map(Log::read) {
            None => return,
            Some(Ok(lines)) => lines,
            Some(Err(error)) => panic!("the log of the pools: {error}"),
        };
        for line in lines.lines() {
            match parse_line(line) {
                Some((key, attempt)) => self.ran(key, attempt),
                None => self.fault(Kind::Wrong, format!("a pool wrote '{line}'")),
            }
        }
    }

    // --- compared with what the hub shows -----------------------------------------------------

    /// What should be looked at, as it is known now.
    pub fn take_recent(&mut self) -> Vec<(Key, Record)> {
        self.read_log();
        let mut keys: Vec<Key> = self.recent.drain().collect();
        keys.sort();
        keys.into_iter().map(|key| (key, self.record(key))).collect()
    }

    /// `known` is what `take_recent` said before the hub was asked.
    pub fn shown(&mut self, key: Key, known: Record, shown: Option<(State, u32)>) {
        let name = key.name();
        let Some((state, attempt)) = shown else {
            if known.created {
                self.fault(Kind::Lost, format!("{name} was acknowledged and is not there"));
            }
            return;
        };
        if known.done_at != 0 && state != State::Done {
            self.fault(Kind::Changed, format!("{name} was acknowledged as done and is {state:?}"));
        }
        if attempt < known.attempt {
            let text =
                format!("{name} attempt {} was given out, shown is {attempt}", known.attempt);
            self.fault(Kind::Lost, text);
        }
        let cancelled_at = self.record(key).cancelled_at;
        let is_cancelled = known.cancelled_at != 0 && known.cancelled_at == cancelled_at;
        if is_cancelled && !known.unsure && state != State::Cancelled {
            let text = format!("{name} was acknowledged as cancelled and is {state:?}");
            self.fault(Kind::Changed, text);
        }
        match state {
            State::Done => self.ended_well(key, attempt),
            State::Failed | State::Skipped | State::Cancelled => {}
            // To be looked at again.
            _ => {
                self.recent.insert(key);
                return;
            }
        }
        self.recent.remove(&key);
        if key.group != Group::Cancel {
            self.holders.remove(&key);
        }
    }

    // ------------------------------------------------------------------------------------------

    fn ended_well(&mut self, key: Key, attempt: u32) {
        let (name, now) = (key.name(), self.now);
        let record = self.edit(key);
        let (known, newest) = (record.done_attempt, record.attempt);
        if record.done_at == 0 {
            record.done_at = now;
            self.totals.tasks_done += 1;
        }
        let record = self.edit(key);
        record.done_sent = true;
        if attempt == 0 {
            return;
        }
        record.done_attempt = attempt;
        if known != 0 && known != attempt {
            let text = format!("{name} was done in attempt {known}, now in attempt {attempt}");
            self.fault(Kind::Changed, text);
        }
        if newest > attempt {
            let text = format!("{name} was done in attempt {attempt}, and there was {newest}");
            self.fault(Kind::Repeated, text);
        }
    }

    fn held(&mut self, key: Key, attempt: u32, who: Holder) {
        if attempt == 0 {
            return;
        }
        let record = self.edit(key);
        record.attempt = record.attempt.max(attempt);
        let done = record.done_attempt;
        if done != 0 && attempt > done {
            let text = format!("{} was done in attempt {done} and ran as {attempt}", key.name());
            self.fault(Kind::Repeated, text);
        }
        let holders = self.holders.entry(key).or_default();
        match holders.iter().find(|(same, _)| *same == attempt) {
            None => holders.push((attempt, who)),
            Some((_, first)) if *first == who => {}
            Some((_, first)) => {
                let text =
                    format!("{} attempt {attempt} was given to {first:?} and {who:?}", key.name());
                self.fault(Kind::Twice, text);
            }
        }
    }

    fn need_not_done(&self, key: Key) -> Option<Key> {
        key.needs().into_iter().find(|&need| !self.record(need).done_sent)
    }

    fn note(&mut self, what: &'static str, key: Key, attempt: u32, who: Holder) {
        self.now += 1;
        self.recent.insert(key);
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Event { at: self.now, what, key, attempt, who });
    }

    fn edit(&mut self, key: Key) -> &mut Record {
        let records = self.records.entry(key.group).or_default();
        let at = key.number as usize;
        if records.len() <= at {
            records.resize(at + 1, Record::default());
        }
        &mut records[at]
    }

    /// The last events, oldest first.
    pub fn write_events(&self, file: &Path) -> io::Result<()> {
        let mut out = io::BufWriter::new(File::create(file)?);
        for Event { at, what, key, attempt, who } in &self.events {
            writeln!(out, "{at} {what} {} attempt {attempt} by {who:?}", key.name())?;
        }
        out.flush()
    }
}
