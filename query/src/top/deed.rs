//! What people can have done to one task or one worker, after they confirmed it.

use dhub_proto::exit::Exit;
use dhub_proto::wire::adjust::Change;
use dhub_proto::wire::{self, Order, Refused, Selection, State};

use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::render::words::{number, plain, state};

#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Cancel {
        name: String,
        state: State,
    },
    Retry {
        name: String,
        state: State,
    },
    /// Or not any more.
    Hold {
        name: String,
        held: bool,
    },
    Priority {
        name: String,
        priority: i32,
    },
    Drain(String),
    Stop(String),
}

impl Deed {
    pub fn name(&self) -> &str {
        match self {
            Self::Cancel { name, .. } | Self::Retry { name, .. } => name,
            Self::Hold { name, .. } | Self::Priority { name, .. } => name,
            Self::Drain(name) | Self::Stop(name) => name,
        }
    }

    /// What is done to it, as in the question and in the report.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Cancel { .. } => "cancel",
            Self::Retry { .. } => "retry",
            Self::Hold { held: true, .. } => "hold",
            Self::Hold { held: false, .. } => "unhold",
            Self::Priority { .. } => "change the priority of",
            Self::Drain(_) => "drain",
            Self::Stop(_) => "stop",
        }
    }

    /// What to know before saying yes.
    pub fn consequence(&self) -> String {
        match self {
            Self::Cancel { state: State::Running, .. } => {
                "it runs and is killed; what needs it is skipped".into()
            }
            Self::Cancel { state: of, .. } => {
                format!("it is {}; what needs it is skipped", state(*of))
            }
            Self::Retry { state: State::Done, .. } => "it is done, and runs once more".into(),
            Self::Retry { state: State::Waiting, .. } => "it waits for its next try".into(),
            Self::Retry { state: State::Failed, .. } => "it failed".into(),
            Self::Retry { state: of, .. } => format!("it is {}", state(*of)),
            Self::Hold { held: true, .. } => "nobody gets it until it is held no more".into(),
            Self::Hold { held: false, .. } => "workers may have it again".into(),
            Self::Priority { priority, .. } => format!("it will be {priority}"),
            Self::Drain(_) => "it finishes what runs, gives the rest back, leaves".into(),
            Self::Stop(_) => "it kills what runs, gives all back and leaves".into(),
        }
    }

    pub fn carry_out(&self, hub: &mut Hub) -> Result<String, Failure> {
        match self {
            Self::Cancel { name, .. } => {
                let selection = Some(only(name));
                let reply = ask!(hub, Cancel(wire::Cancel { selection }) => Cancelled);
                fulfilled(&reply.refused)?;
                Ok(format!("'{}' is cancelled", plain(name)))
            }
            Self::Retry { name, state } => {
                let (selection, done) = (Some(only(name)), *state == State::Done);
                let reply = ask!(hub, Retry(wire::Retry { selection, done }) => Retried);
                fulfilled(&reply.refused)?;
                Ok(match reply.unskipped {
                    0 => format!("'{}' runs again", plain(name)),
                    n => format!("'{}' runs again, and {} skipped ones", plain(name), number(n)),
                })
            }
            Self::Hold { name, held } => {
                adjust(name, Change::Held(*held), hub)?;
                let no_more = if *held { "" } else { " no more" };
                Ok(format!("'{}' is held{no_more}", plain(name)))
            }
            Self::Priority { name, priority } => {
                adjust(name, Change::Priority(*priority), hub)?;
                Ok(format!("'{}' has priority {priority}", plain(name)))
            }
            Self::Drain(name) => steer(name, Order::Drain, hub),
            Self::Stop(name) => steer(name, Order::Stop, hub),
        }
    }
}

fn adjust(name: &str, change: Change, hub: &mut Hub) -> Result<(), Failure> {
    let request = wire::Adjust { selection: Some(only(name)), change: Some(change) };
    fulfilled(&ask!(hub, Adjust(request) => Adjusted).refused)
}

fn only(name: &str) -> Selection {
    Selection { names: vec![name.to_owned()], ..Selection::default() }
}

fn fulfilled(refused: &[Refused]) -> Result<(), Failure> {
    match refused.first() {
        Some(refused) => Err(Failure::new(Exit::Refused, plain(&refused.message).into_owned())),
        None => Ok(()),
    }
}

fn steer(name: &str, order: Order, hub: &mut Hub) -> Result<String, Failure> {
    let what = if order == Order::Stop { "stop" } else { "drain" };
    // The hub would take it for a pattern.
    if name.contains(['*', '?']) {
        let message = format!("others may match its name: dquery worker {what} does it");
        return Err(Failure::new(Exit::Refused, message));
    }
    let request = wire::Steer { workers: vec![name.to_owned()], order: order.into() };
    let reply = ask!(hub, Steer(request) => Steered);
    match reply.workers_total {
        0 => Err(Failure::new(Exit::Refused, "the hub knows no worker of that name any more")),
        _ => Ok(format!("'{}' is told to {what}", plain(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::cut::width;

    #[test]
    fn a_usual_window_has_room_for_what_follows_and_a_part_of_the_name() {
        let name = || "n".repeat(20);
        let cancel = |state| Deed::Cancel { name: name(), state };
        let retry = |state| Deed::Retry { name: name(), state };
        for deed in [
            cancel(State::Running),
            cancel(State::Waiting),
            retry(State::Done),
            retry(State::Waiting),
            retry(State::Cancelled),
            Deed::Hold { name: name(), held: true },
            Deed::Hold { name: name(), held: false },
            Deed::Priority { name: name(), priority: i32::MIN },
            Deed::Drain(name()),
            Deed::Stop(name()),
        ] {
            let line = format!("{} '{}'? {}", deed.verb(), deed.name(), deed.consequence());
            assert!(width(&line) <= 80, "{line}: {}", width(&line));
        }
    }
}
