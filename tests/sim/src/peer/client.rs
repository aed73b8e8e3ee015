//! A person, or a script: one request after the other, each until it is answered.

use dhub::engine::message::*;

use super::link::{Act, Link};
use super::{Surroundings, earliest};
use crate::message::{Ask, ReplyBody};
use crate::plan::{ClientPlan, Step};

pub struct Client {
    plan: ClientPlan,
    link: Link,
    at: usize,
    next: Option<Millis>,
}

impl Client {
    pub fn new(plan: ClientPlan, life: u32, steps_done: usize) -> Self {
        Self { link: Link::new(life, plan.patience_ms), plan, at: steps_done, next: None }
    }

    /// Where the next life goes on, if this one ends now: a retry is asked for again.
    pub fn steps_done(&self, repeats: bool) -> usize {
        let is_retry = matches!(self.plan.steps.get(self.at), Some((_, Step::Retry { .. })));
        self.at + usize::from(!self.link.is_quiet() && !is_retry && !repeats)
    }

    /// A request of its own is not answered yet.
    pub fn is_asking(&self) -> bool {
        !self.link.is_quiet()
    }

    pub fn is_idle(&self) -> bool {
        self.link.is_quiet() && self.at == self.plan.steps.len()
    }

    pub fn answered(&mut self, conn: u32, id: u64, body: &ReplyBody, at: &mut Surroundings) {
        let Some(pending) = self.link.answered(conn, id) else {
            return;
        };
        if let ReplyBody::Answer(answer) = body {
            match (&*pending.ask, &**answer) {
                (
                    Ask::Request(Request { body: Body::Create { tasks, merge }, .. }),
                    Answer::Created { .. },
                ) => {
                    let created =
                        tasks.iter().map(|task| Act::Created { task: task.clone(), merge: *merge });
                    at.acts.extend(created);
                }
                (_, Answer::Error { code: Code::Busy, .. }) => {
                    self.next = Some(at.now + 1000);
                    return;
                }
                _ => {}
            }
        }
        if self.link.is_quiet() {
            self.at += 1;
            self.next = None;
        }
    }

    pub fn step(&mut self, at: &mut Surroundings) -> Option<Millis> {
        self.link.retry(at.now, at.acts);
        if self.link.is_quiet()
            && let Some((pause, step)) = self.plan.steps.get(self.at)
        {
            let next = *self.next.get_or_insert(at.now + pause);
            if next <= at.now {
                for (ask, parked_ms) in asks(step) {
                    self.link.ask(at.now, ask, parked_ms, at.acts);
                }
                self.next = None;
            }
        }
        earliest([self.link.due(), self.next])
    }
}

/// What a step asks for, and how long the hub may keep it.
fn asks(step: &Step) -> Vec<(Ask, u64)> {
    let of = |body: Body| Ask::Request(body.into());
    let (ask, parked_ms) = match step {
        Step::Together(steps) => return steps.iter().flat_map(asks).collect(),
        Step::Create { tasks, merge } => {
            (of(Body::Create { tasks: tasks.clone(), merge: *merge }), 0)
        }
        Step::Cancel(names) => (of(Body::Cancel { names: names.clone() }), 0),
        Step::Adjust { names, to } => (of(Body::Adjust { names: names.clone(), to: *to }), 0),
        Step::Sweep { selection, deed } => {
            (Ask::Sweep { selection: selection.clone(), deed: *deed }, 0)
        }
        Step::Retry { selection, done } => {
            (Ask::Retry { selection: selection.clone(), done: *done }, 0)
        }
        Step::Steer { workers, order } => {
            (Ask::Steer { workers: workers.clone(), order: *order }, 0)
        }
        Step::Dismiss(name) => {
            let who = Who { name: name.clone(), ..Who::default() };
            (Ask::Request(Request::by(who, Body::Exit)), 0)
        }
        Step::Await { names, wait_ms } => {
            let (names, wait_ms) = (names.clone(), *wait_ms);
            (of(Body::Await { names, wait_ms, output: false }), wait_ms)
        }
        Step::Wait(wait_ms) => (of(Body::Wait { wait_ms: *wait_ms }), *wait_ms),
    };
    vec![(ask, parked_ms)]
}
