//! Tasks whose rows are not what was written.

use dhub::engine::message::{Body, Name, Request};

use super::{Hub, Machine};
use crate::check::Check;
use crate::describe::Brief;
use crate::note;
use crate::tally::Met;

impl Hub {
    /// Nobody knows any more what these were to run.
    pub(super) fn fail_damaged(&mut self, names: Vec<Name>, at: &mut Machine) -> Check {
        if names.is_empty() {
            return Ok(());
        }
        let request = Request::from(Body::Damaged { names: names.clone() });
        note!(at.trace, at.clock.now(), "hub    {}", Brief(&request));
        self.carry_out(request, false, at)?;
        self.busy = true;
        for name in names {
            at.tally.note(Met::DamagedFailed);
            if at.store.current.find(&name).is_some_and(|row| row.is_open()) {
                return Err(format!("the row of '{name}' is damaged, and it goes on"));
            }
        }
        Ok(())
    }
}
