//! Sequences of requests that make sense often enough: few names, few workers, small numbers, and
//! attempts that were told. They become frames, as a client would send them.

use bolero::{Driver, TypeGenerator};
use dhub_proto::Message;
use dhub_proto::dwork::{Dep, QueryMsg, TaskMsg, query_msg::Type};
use dhub_proto::wire::{self, request::Body};

/// What happens to the hub, in this order.
#[derive(Clone, Debug)]
pub enum Event {
    Native(Native),
    Dwork(Dwork),
    /// A heartbeat that nobody answers.
    Report(Worker, Few<Told>),
    /// As it came.
    Raw(Few<u8>),
    /// The last request again.
    Again,
    /// The end of a turn: commit, and answers.
    Turn,
    /// The next turn's answers reach nobody.
    Unreachable,
    /// Seconds, with turns.
    Pass(u8),
    /// Seconds, without: the hub itself was stopped.
    Pause(u8),
    /// What is not committed is lost.
    Crash,
}

#[derive(Clone, Debug, TypeGenerator)]
pub enum Native {
    Create(Few<Task>),
    Steal(Steal),
    Complete(Complete),
    Release(Worker, Few<Told>),
    Heartbeat(Worker, Few<Told>),
    Exit(Worker),
    Cancel(Few<Name>, Few<State>),
    Retry(Few<Name>, Few<State>, u8),
    List(Few<Name>, Few<State>, u8, u8),
    Export(Few<Name>, Few<State>, u8, u8),
    Wait(u8),
    Adjust(Few<Name>, Few<State>, bool, i8),
    Count(Few<Name>, Few<State>),
    Await(Few<Name>, u8),
}

#[derive(Clone, Debug, TypeGenerator)]
pub struct Steal {
    worker: Worker,
    n: u8,
    wait_s: u8,
    number: Number,
    lease_s: u8,
    stay: bool,
}

#[derive(Clone, Debug, TypeGenerator)]
pub struct Complete {
    worker: Worker,
    outcomes: Few<(Told, Ending)>,
    want: u8,
    number: Number,
}

#[derive(Clone, Debug, TypeGenerator)]
pub enum Dwork {
    Create(Few<(Name, Few<Name>)>),
    Steal(Worker, i8),
    Complete(Worker, Few<Told>),
    Transfer(Worker, Few<(Told, Few<Name>)>),
    Exit(Worker),
    Status,
}

#[derive(Clone, Debug, TypeGenerator)]
pub struct Task {
    name: Name,
    needs: Few<Name>,
    priority: i8,
    retries: u8,
    command: bool,
}

#[derive(Clone, Copy, Debug, TypeGenerator)]
pub struct Name(u8);

#[derive(Clone, Copy, Debug, TypeGenerator)]
pub struct Worker(u8);

/// Up to four: more say no more, and use up what the rest is made of.
#[derive(Clone, Debug)]
pub struct Few<T>(Vec<T>);

impl<T: TypeGenerator> TypeGenerator for Few<T> {
    fn generate<D: Driver>(driver: &mut D) -> Option<Self> {
        let many = u8::generate(driver)? % 5;
        (0..many).map(|_| T::generate(driver)).collect::<Option<Vec<T>>>().map(Self)
    }
}

impl TypeGenerator for Event {
    /// By weights: what leads to work, more often than what ends it.
    fn generate<D: Driver>(driver: &mut D) -> Option<Self> {
        Some(match u8::generate(driver)? {
            0..32 => Event::Native(Native::Create(Few::generate(driver)?)),
            32..72 => Event::Native(Native::Steal(Steal::generate(driver)?)),
            72..120 => Event::Native(Native::Complete(Complete::generate(driver)?)),
            120..156 => Event::Native(Native::generate(driver)?),
            156..180 => Event::Dwork(Dwork::generate(driver)?),
            180..188 => Event::Report(Worker::generate(driver)?, Few::generate(driver)?),
            188..190 => Event::Raw(Few::generate(driver)?),
            190..200 => Event::Again,
            200..240 => Event::Turn,
            240..244 => Event::Unreachable,
            244..249 => Event::Pass(u8::generate(driver)?),
            249..251 => Event::Pause(u8::generate(driver)?),
            251.. => Event::Crash,
        })
    }
}

/// An attempt: one of those that were told last, or an invention.
#[derive(Clone, Copy, Debug, TypeGenerator)]
pub struct Told(u8, u8);

#[derive(Clone, Copy, Debug, TypeGenerator)]
pub struct Ending(u8);

/// The next one of the client, or as far back.
#[derive(Clone, Copy, Debug, TypeGenerator)]
pub struct Number(u8);

#[derive(Clone, Copy, Debug, TypeGenerator)]
pub struct State(u8);

/// What the clients know, as far as it goes into their requests.
#[derive(Default)]
pub struct Known {
    /// Leases that were told, in their order.
    pub told: Vec<(String, u32, wire::Worker)>,
    number: u64,
}

/// A request or a report, as it travels.
pub enum Sent {
    Request(Vec<u8>),
    Report(Vec<u8>),
}

impl Event {
    /// The frame that it stands for, if it is one.
    pub fn frame(&self, known: &mut Known) -> Option<Sent> {
        Some(match self {
            Event::Native(native) => {
                let body = Some(native.body(known));
                Sent::Request(
                    wire::Request { id: 1, body, ..wire::Request::default() }.encode_to_vec(),
                )
            }
            Event::Dwork(dwork) => Sent::Request(dwork.message(known).encode_to_vec()),
            Event::Report(worker, told) => {
                let heartbeat = heartbeat(*worker, told, known);
                let body = Some(wire::report::Body::Heartbeat(heartbeat));
                Sent::Report(wire::Report { body }.encode_to_vec())
            }
            Event::Raw(bytes) => Sent::Request(bytes.0.clone()),
            _ => return None,
        })
    }
}

impl Native {
    fn body(&self, known: &mut Known) -> Body {
        match self {
            Native::Create(tasks) => {
                Body::Create(wire::Create { tasks: tasks.0.iter().map(Task::wire).collect() })
            }
            Native::Steal(steal) => {
                let Steal { worker, n, wait_s, number, lease_s, stay } = steal;
                Body::Steal(wire::Steal {
                    worker: Some(worker.wire()),
                    client: worker.client(),
                    number: number.value(known),
                    n: u32::from(n % 6),
                    wait_ms: u64::from(wait_s % 30) * 1000,
                    lease_ms: u64::from(lease_s % 20) * 1000,
                    stay: *stay,
                    replaces: u64::from(n / 64),
                    slots: u32::from(n % 3),
                    waiting: u32::from(n % 4),
                })
            }
            Native::Complete(Complete { worker, outcomes, want, number }) => {
                let first = outcomes.0.first().map(|(told, _)| *told);
                let outcomes = outcomes.0.iter();
                Body::Complete(wire::Complete {
                    outcomes: outcomes.map(|(told, ending)| told.outcome(*ending, known)).collect(),
                    worker: Some(worker.holder(first, known)),
                    want: u32::from(want % 4),
                    client: worker.client(),
                    number: number.value(known),
                    lease_ms: 0,
                    slots: 1,
                    waiting: 0,
                })
            }
            Native::Release(worker, told) => Body::Release(wire::Release {
                worker: Some(worker.holder(told.0.first().copied(), known)),
                attempts: told.0.iter().map(|told| told.wire(known)).collect(),
            }),
            Native::Heartbeat(worker, told) => Body::Heartbeat(heartbeat(*worker, told, known)),
            Native::Exit(worker) => Body::Exit(wire::Exit { worker: Some(worker.wire()) }),
            Native::Cancel(names, states) => {
                Body::Cancel(wire::Cancel { selection: selection(names, states) })
            }
            Native::Retry(names, states, done) => {
                Body::Retry(wire::Retry { selection: selection(names, states), done: *done < 16 })
            }
            Native::List(names, states, limit, after) => Body::List(wire::List {
                selection: selection(names, states),
                limit: u32::from(*limit),
                after: u64::from(*after % 128),
                before: u64::from(*after / 128 * *limit),
            }),
            Native::Export(names, states, limit, after) => Body::Export(wire::Export {
                selection: selection(names, states),
                limit: u32::from(*limit),
                after: u64::from(*after / 4),
                after_attempt: u32::from(*after % 4),
                brief: *limit % 2 == 0,
            }),
            Native::Adjust(names, states, hold, to) => Body::Adjust(wire::Adjust {
                selection: selection(names, states),
                change: Some(match hold {
                    true => wire::adjust::Change::Held(*to >= 0),
                    false => wire::adjust::Change::Priority((*to).into()),
                }),
            }),
            Native::Count(names, states) => {
                Body::Count(wire::Count { selection: selection(names, states) })
            }
            Native::Await(names, wait_s) => Body::Wait(wire::Wait {
                wait_ms: u64::from(*wait_s) * 100,
                names: names.0.iter().map(|name| name.text()).collect(),
                output: wait_s % 2 == 0,
            }),
            Native::Wait(wait_s) => Body::Wait(wire::Wait {
                wait_ms: u64::from(wait_s % 30) * 1000,
                ..Default::default()
            }),
        }
    }
}

impl Dwork {
    fn message(&self, known: &Known) -> QueryMsg {
        let dep = |need: &Name| Dep { name: Some(need.text()), location: None };
        let task = |name: String, needs: &Few<Name>| TaskMsg {
            name: Some(name),
            origin: Some("host".into()),
            pred: needs.0.iter().map(dep).collect(),
            ..TaskMsg::default()
        };
        let holder =
            |worker: &Worker, told: Option<&Told>| Some(worker.holder(told.copied(), known).name);
        let (kind, location, n, task) = match self {
            Dwork::Create(tasks) => {
                let tasks = tasks.0.iter().map(|(name, needs)| task(name.text(), needs));
                (Type::Create, None, None, tasks.collect())
            }
            Dwork::Steal(worker, n) => {
                (Type::Steal, Some(worker.name()), Some(i32::from(*n)), Vec::new())
            }
            Dwork::Complete(worker, told) => {
                let location = holder(worker, told.0.first());
                let tasks = told.0.iter().map(|told| task(told.attempt(known).0, &Few(Vec::new())));
                (Type::Complete, location, None, tasks.collect())
            }
            Dwork::Transfer(worker, told) => {
                let location = holder(worker, told.0.first().map(|(told, _)| told));
                let tasks = told.0.iter();
                let tasks = tasks.map(|(told, needs)| task(told.attempt(known).0, needs));
                (Type::Transfer, location, None, tasks.collect())
            }
            Dwork::Exit(worker) => (Type::Exit, Some(worker.name()), None, Vec::new()),
            Dwork::Status => (Type::Ok, None, None, Vec::new()),
        };
        QueryMsg { r#type: Some(kind.into()), task, n, location, name: None }
    }
}

impl Task {
    fn wire(&self) -> wire::Task {
        wire::Task {
            name: self.name.text(),
            needs: self.needs.0.iter().map(|need| need.text()).collect(),
            command: if self.command { "true".into() } else { String::new() },
            priority: i32::from(self.priority % 3),
            retries: u32::from(self.retries % 3),
            ..wire::Task::default()
        }
    }
}

impl Name {
    fn text(self) -> String {
        format!("t{}", self.0 % 12)
    }
}

impl Worker {
    fn name(self) -> String {
        format!("w{}", self.0 % 5)
    }

    /// Some are known by an id, and two of them by the same name.
    fn id(self) -> Vec<u8> {
        if self.0 % 5 < 3 { vec![self.0 % 4 + 1; 16] } else { Vec::new() }
    }

    fn wire(self) -> wire::Worker {
        wire::Worker { name: self.name(), id: self.id(), ..wire::Worker::default() }
    }

    /// Mostly the one that was told of the attempt.
    fn holder(self, told: Option<Told>, known: &Known) -> wire::Worker {
        let lease = told.filter(|_| self.0 < 200).and_then(|told| told.lease(known));
        lease.map_or_else(|| self.wire(), |(_, _, worker)| worker.clone())
    }

    fn client(self) -> Vec<u8> {
        if self.0.is_multiple_of(2) { self.id() } else { vec![self.0 % 3 + 100; 16] }
    }
}

impl Told {
    fn lease(self, known: &Known) -> Option<&(String, u32, wire::Worker)> {
        let at = known.told.len().checked_sub(1 + usize::from(self.0 % 16))?;
        known.told.get(at)
    }

    fn attempt(self, known: &Known) -> (String, u32) {
        match (self.lease(known), self.1) {
            (Some((name, _, _)), 0..16) => (name.clone(), 0),
            (Some((name, attempt, _)), 16..24) => (name.clone(), attempt + 1),
            (Some((name, attempt, _)), 24..32) => (name.clone(), attempt.wrapping_sub(1)),
            // Mostly as it was told.
            (Some((name, attempt, _)), _) => (name.clone(), *attempt),
            (None, _) => (Name(self.0).text(), u32::from(self.1 % 4)),
        }
    }

    fn wire(self, known: &Known) -> wire::Attempt {
        let (name, attempt) = self.attempt(known);
        wire::Attempt { name, attempt, started: self.1.is_multiple_of(2) }
    }

    fn outcome(self, ending: Ending, known: &Known) -> wire::Outcome {
        let (name, attempt) = self.attempt(known);
        let result = match ending.0 {
            0..150 => wire::Result::Done,
            150..250 => wire::Result::Failed,
            250.. => wire::Result::Unspecified,
        };
        wire::Outcome { name, attempt, result: result.into(), ..wire::Outcome::default() }
    }
}

impl Number {
    fn value(self, known: &mut Known) -> u64 {
        match self.0 {
            0..8 => 0,
            8..64 => known.number.saturating_sub(u64::from(self.0 % 3)),
            _ => {
                known.number += 1;
                known.number
            }
        }
    }
}

fn heartbeat(worker: Worker, told: &Few<Told>, known: &Known) -> wire::Heartbeat {
    wire::Heartbeat {
        worker: Some(worker.holder(told.0.first().copied(), known)),
        attempts: told.0.iter().map(|told| told.wire(known)).collect(),
        ..wire::Heartbeat::default()
    }
}

/// Every fourth name stands for all that begin like it.
fn selection(names: &Few<Name>, states: &Few<State>) -> Option<wire::Selection> {
    let (patterns, names): (Vec<&Name>, Vec<&Name>) =
        names.0.iter().partition(|name| name.0 % 4 == 3);
    let begin = |name: &Name| name.text().chars().take(1).chain(['*']).collect();
    Some(wire::Selection {
        names: names.into_iter().map(|name| name.text()).collect(),
        patterns: patterns.into_iter().map(begin).collect(),
        states: states.0.iter().map(|state| i32::from(state.0 % 9)).collect(),
        held: states.0.iter().any(|state| state.0 > 240),
        ..wire::Selection::default()
    })
}
