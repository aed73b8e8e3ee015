//! What goes in.

use std::collections::HashSet;

use super::*;

#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Create {
        ticket: Ticket,
        tasks: Vec<NewTask>,
        merge: bool,
    },
    Steal {
        ticket: Ticket,
        who: Who,
        steal: Steal,
    },
    Complete {
        ticket: Ticket,
        who: Who,
        outcomes: Vec<Outcome>,
        want: Option<Steal>,
    },
    /// `needs` are further dependencies of each task that is given back (dwork: Transfer).
    Release {
        ticket: Ticket,
        who: Who,
        attempts: Vec<AttemptRef>,
        needs: Vec<Vec<Name>>,
    },
    Heartbeat {
        ticket: Option<Ticket>,
        who: Who,
        attempts: Vec<AttemptRef>,
    },
    Exit {
        ticket: Ticket,
        who: Who,
    },
    Steer {
        ticket: Ticket,
        workers: Vec<WorkerId>,
        order: Order,
    },
    Cancel {
        ticket: Ticket,
        names: Vec<Name>,
    },
    Adjust {
        ticket: Ticket,
        names: Vec<Name>,
        to: Adjustment,
    },
    Revive {
        ticket: Ticket,
        tasks: Vec<Revived>,
    },
    /// Those of them that wait for their next try need not.
    Hasten {
        ticket: Ticket,
        names: Vec<Name>,
    },
    Wait {
        ticket: Ticket,
        wait_ms: u64,
    },
    /// Until some of these tasks are finished.
    Await {
        ticket: Ticket,
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

impl Command {
    /// Who asks, if the command is of a worker.
    pub fn who(&self) -> Option<&Who> {
        match self {
            Command::Steal { who, .. }
            | Command::Complete { who, .. }
            | Command::Release { who, .. }
            | Command::Heartbeat { who, .. }
            | Command::Exit { who, .. } => Some(who),
            _ => None,
        }
    }

    /// In the name of the key that it was asked for with.
    pub fn with_key(mut self, key: &str) -> Self {
        if let Command::Steal { who, .. }
        | Command::Complete { who, .. }
        | Command::Release { who, .. }
        | Command::Heartbeat { who, .. }
        | Command::Exit { who, .. } = &mut self
        {
            who.key = key.into();
        }
        self
    }

    /// The same, asked for under another ticket: a copy that arrived.
    pub fn with_ticket(mut self, new: Ticket) -> Self {
        match &mut self {
            Command::Create { ticket, .. }
            | Command::Steal { ticket, .. }
            | Command::Complete { ticket, .. }
            | Command::Release { ticket, .. }
            | Command::Exit { ticket, .. }
            | Command::Steer { ticket, .. }
            | Command::Cancel { ticket, .. }
            | Command::Adjust { ticket, .. }
            | Command::Await { ticket, .. }
            | Command::Revive { ticket, .. }
            | Command::Hasten { ticket, .. }
            | Command::Wait { ticket, .. } => *ticket = new,
            Command::Heartbeat { ticket, .. } => *ticket = ticket.map(|_| new),
            Command::Undelivered { .. }
            | Command::Damaged { .. }
            | Command::Forget { .. }
            | Command::Revoked { .. }
            | Command::Marked { .. }
            | Command::Tick => {}
        }
        self
    }

    /// How many a heartbeat names.
    pub fn attempts(&self) -> usize {
        if let Command::Heartbeat { attempts, .. } = self { attempts.len() } else { 0 }
    }

    /// The tasks that it names and that may be finished.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let none = (&[][..], &[][..], &[][..], &[][..], &[][..]);
        let (tasks, outcomes, attempts, needs, names) = match self {
            Command::Create { tasks, .. } => (&tasks[..], none.1, none.2, none.3, none.4),
            Command::Complete { outcomes, .. } => (none.0, &outcomes[..], none.2, none.3, none.4),
            Command::Release { attempts, needs, .. } => {
                (none.0, none.1, &attempts[..], &needs[..], none.4)
            }
            Command::Cancel { names, .. }
            | Command::Adjust { names, .. }
            | Command::Await { names, .. } => (none.0, none.1, none.2, none.3, &names[..]),
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
