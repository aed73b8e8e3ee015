//! What must hold, one function a rule. None of them asks how the hub does it.

pub mod answer;
pub mod change;
pub mod command;
pub mod details;
pub mod history;
pub mod line;
pub mod long;
pub mod memory;
pub mod orders;
pub mod parked;
pub mod places;
pub mod room;
pub mod starts;
pub mod told;
pub mod urgency;

use dhub::engine::message::{Command, TaskId};
use dhub::engine::scheduler::State;

use crate::store::{Row, Rows};

/// A rule is broken: which, and by what.
pub type Check = Result<(), String>;

/// What the hub was doing when it changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Restore,
    Create,
    Steal,
    Complete,
    Release,
    Heartbeat,
    Exit,
    Steer,
    Cancel,
    Adjust,
    Revive { done: bool },
    Hasten,
    Revoked,
    Wait,
    Await,
    Undelivered,
    Damaged,
    Forget,
    Tick,
}

impl Cause {
    pub fn of(command: &Command, done: bool) -> Self {
        match command {
            Command::Create { .. } => Cause::Create,
            Command::Steal { .. } => Cause::Steal,
            Command::Complete { .. } => Cause::Complete,
            Command::Release { .. } => Cause::Release,
            Command::Heartbeat { .. } => Cause::Heartbeat,
            Command::Exit { .. } => Cause::Exit,
            Command::Steer { .. } => Cause::Steer,
            Command::Cancel { .. } => Cause::Cancel,
            Command::Adjust { .. } => Cause::Adjust,
            Command::Revive { .. } => Cause::Revive { done },
            Command::Hasten { .. } => Cause::Hasten,
            Command::Revoked { .. } | Command::Marked { .. } => Cause::Revoked,
            Command::Wait { .. } => Cause::Wait,
            Command::Await { .. } => Cause::Await,
            Command::Undelivered { .. } => Cause::Undelivered,
            Command::Damaged { .. } => Cause::Damaged,
            Command::Forget { .. } => Cause::Forget,
            Command::Tick => Cause::Tick,
        }
    }
}

/// A dependency that can not be done. One that was done before, and that a person has had run
/// again since, does not count: what needed it went on.
fn is_dead_need(need: &Row) -> bool {
    need.state.is_dead() && !need.redone
}

fn name_of(rows: &Rows, id: TaskId) -> &str {
    rows.get(id).map_or("?", |row| &row.name)
}

fn all_done<'a>(mut needs: impl Iterator<Item = &'a Row>) -> bool {
    needs.all(|need| need.state == State::Done)
}
