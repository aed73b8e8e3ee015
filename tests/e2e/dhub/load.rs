//! Clients that note what they are told, until the hub stops.

use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Complete, Create, State, Steal, Task};
use e2e::{Hub, Native, eventually, outcome_done, plain_worker, task};

pub fn big_task(name: &str) -> Task {
    Task { command: format!("echo {}", "x".repeat(4000)), ..task(name, &[]) }
}

/// The answer, or None if the hub ends without one.
fn ask(hub: &mut Hub, native: &Native, body: Body) -> Option<Answer> {
    native.send(body);
    eventually("an answer, or the hub's end", || {
        let ended = !hub.is_running();
        if native.has_reply(100) {
            return Some(native.receive().body);
        }
        ended.then_some(None)
    })
}

/// What the clients were told before the hub stopped.
#[derive(Default)]
pub struct Told {
    pub created: Vec<String>,
    pub done: Vec<String>,
}

/// Creates, steals and completes until the hub stops; `act` is told the number of each round.
pub fn work_until_it_stops(hub: &mut Hub, act: impl Fn(usize)) -> Told {
    let native = hub.native();
    let worker = plain_worker("node1");
    let mut told = Told::default();
    for round in 0..10_000 {
        act(round);
        let names: Vec<String> = (0..5).map(|n| format!("t{round}-{n}")).collect();
        let tasks = names.iter().map(|name| big_task(name)).collect();
        let Some(Answer::Created(_)) = ask(hub, &native, Body::Create(Create { tasks })) else {
            return told;
        };
        told.created.extend(names);
        let steal = Steal { worker: Some(worker.clone()), n: 2, ..Steal::default() };
        let Some(Answer::Stolen(stolen)) = ask(hub, &native, Body::Steal(steal)) else {
            return told;
        };
        let outcomes = stolen.leases.iter().map(outcome_done).collect();
        let complete = Complete { worker: Some(worker.clone()), outcomes, ..Complete::default() };
        let Some(Answer::Completed(completed)) = ask(hub, &native, Body::Complete(complete)) else {
            return told;
        };
        assert_eq!(completed.refused, []);
        told.done.extend(stolen.leases.into_iter().map(|lease| lease.name));
    }
    panic!("the hub went on");
}

impl Told {
    /// All of it is there, and as it was told.
    #[track_caller]
    pub fn is_kept_by(&self, native: &Native) {
        for name in &self.done {
            assert_eq!(native.state(name), State::Done, "{name}");
        }
        for name in self.created.iter().filter(|name| !self.done.contains(name)) {
            assert!(matches!(native.state(name), State::Ready | State::Running), "{name}");
        }
    }
}
