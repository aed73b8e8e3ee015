//! What goes in.

use std::collections::HashSet;

use super::*;

/// What is asked, by whom, and where the answer belongs.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// 0: nobody waits for an answer, as of a report, a tick, or what the hub asks itself.
    pub ticket: Ticket,
    pub who: Who,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Create {
        tasks: Vec<NewTask>,
        merge: bool,
    },
    Steal(Steal),
    Complete {
        outcomes: Vec<Outcome>,
        want: Option<Steal>,
    },
    /// `needs` are further dependencies of each task that is given back (dwork: Transfer).
    Release {
        attempts: Vec<AttemptRef>,
        needs: Vec<Vec<Name>>,
    },
    Heartbeat {
        attempts: Vec<AttemptRef>,
    },
    Exit,
    Steer {
        workers: Vec<WorkerId>,
        order: Order,
    },
    Cancel {
        names: Vec<Name>,
    },
    Adjust {
        names: Vec<Name>,
        to: Adjustment,
    },
    Revive {
        tasks: Vec<Revived>,
    },
    /// Those of them that wait for their next try need not.
    Hasten {
        names: Vec<Name>,
    },
    Wait {
        wait_ms: u64,
    },
    /// Until some of these tasks are finished.
    Await {
        names: Vec<Name>,
        wait_ms: u64,
        /// The answer is to have what they wrote.
        output: bool,
    },
    /// These keys were taken back: what their workers hold is given to others.
    Revoked {
        keys: Vec<Name>,
    },
    /// The store has an older name of this key.
    Marked {
        old: Name,
        key: Name,
    },
    /// A reply with these leases could not be delivered: the client is gone.
    Undelivered {
        leases: Vec<(Name, u32)>,
    },
    /// What the store has of these tasks is not what was written.
    Damaged {
        names: Vec<Name>,
    },
    /// Nobody waits any more for what these requests wait for; those that did are Forgotten.
    Forget {
        tickets: HashSet<Ticket>,
    },
    Tick,
}

/// Of nobody in particular.
impl From<Body> for Request {
    fn from(body: Body) -> Self {
        Self::by(Who::default(), body)
    }
}

impl Request {
    pub fn by(who: Who, body: Body) -> Self {
        Self { ticket: 0, who, body }
    }

    /// The worker that asks, if it is one that does.
    pub fn worker(&self) -> Option<&Who> {
        let is_of_worker = matches!(
            self.body,
            Body::Steal(_)
                | Body::Complete { .. }
                | Body::Release { .. }
                | Body::Heartbeat { .. }
                | Body::Exit
        );
        is_of_worker.then_some(&self.who)
    }
}

impl Body {
    /// How many a heartbeat names.
    pub fn attempts(&self) -> usize {
        if let Body::Heartbeat { attempts } = self { attempts.len() } else { 0 }
    }

    /// The tasks that it names and that may be finished.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let none = (&[][..], &[][..], &[][..], &[][..], &[][..]);
        let (tasks, outcomes, attempts, needs, names) = match self {
            Body::Create { tasks, .. } => (&tasks[..], none.1, none.2, none.3, none.4),
            Body::Complete { outcomes, .. } => (none.0, &outcomes[..], none.2, none.3, none.4),
            Body::Release { attempts, needs } => {
                (none.0, none.1, &attempts[..], &needs[..], none.4)
            }
            Body::Cancel { names } | Body::Adjust { names, .. } | Body::Await { names, .. } => {
                (none.0, none.1, none.2, none.3, &names[..])
            }
            _ => none,
        };
        tasks
            .iter()
            .flat_map(|task| std::iter::once(&task.name).chain(&task.needs))
            .chain(outcomes.iter().map(|outcome| &outcome.name))
            .chain(attempts.iter().map(|attempt| &attempt.name))
            .chain(needs.iter().flatten())
            .chain(names)
    }
}
