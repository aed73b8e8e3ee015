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

use dhub::engine::message::{Body, TaskId};
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
    pub fn of(body: &Body, done: bool) -> Self {
        match body {
            Body::Create { .. } => Cause::Create,
            Body::Steal(_) => Cause::Steal,
            Body::Complete { .. } => Cause::Complete,
            Body::Release { .. } => Cause::Release,
            Body::Heartbeat { .. } => Cause::Heartbeat,
            Body::Exit => Cause::Exit,
            Body::Steer { .. } => Cause::Steer,
            Body::Cancel { .. } => Cause::Cancel,
            Body::Adjust { .. } => Cause::Adjust,
            Body::Revive { .. } => Cause::Revive { done },
            Body::Hasten { .. } => Cause::Hasten,
            Body::Revoked { .. } | Body::Marked { .. } => Cause::Revoked,
            Body::Wait { .. } => Cause::Wait,
            Body::Await { .. } => Cause::Await,
            Body::Undelivered { .. } => Cause::Undelivered,
            Body::Damaged { .. } => Cause::Damaged,
            Body::Forget { .. } => Cause::Forget,
            Body::Tick => Cause::Tick,
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
