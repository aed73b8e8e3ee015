//! Wait: until nothing more will happen, or until one of some tasks is finished.

use dhub_proto::limits::AWAITED_NAMES_MAX;

use crate::engine::message::*;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::waiting::awaiting::Awaited;

impl Scheduler {
    pub(crate) fn wait(&mut self, now: Millis, ticket: Ticket, wait_ms: u64) {
        if self.parked() >= self.config.parked_requests_max {
            self.answer_busy(ticket);
        } else {
            self.parking.wait(ticket, now + wait_ms);
        }
    }

    pub(crate) fn wait_for_tasks(
        &mut self,
        now: Millis,
        ticket: Ticket,
        names: Vec<Name>,
        wait_ms: u64,
        output: bool,
        past: &Past,
    ) {
        let (mut finished, mut unknown, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let found = self.tasks.find(&name).map(|slot| (slot, self.tasks.get(slot).state));
            match (found, past.get(&name).map(|past| past.state)) {
                (Some((_, State::Missing)), _) => unknown.push(name),
                (Some((_, state)), _) if state.is_finished() => finished.push(name),
                (Some((slot, _)), _) => tasks.push(slot),
                (None, Some(state)) if state.is_finished() => finished.push(name),
                (None, _) => unknown.push(name),
            }
        }
        if wait_ms == 0 || !finished.is_empty() || !unknown.is_empty() {
            return self.answer(ticket, Answer::Awaited { finished, unknown, output });
        }
        if self.parked() >= self.config.parked_requests_max {
            return self.answer_busy(ticket);
        }
        if self.awaiting.names() + tasks.len() > AWAITED_NAMES_MAX {
            let message = format!(
                "{AWAITED_NAMES_MAX} names are waited for already, which is the limit; ask again later"
            );
            return self
                .answer(ticket, Answer::Error { code: Code::Busy, message, names: Vec::new() });
        }
        self.awaiting.insert(Awaited { ticket, until: now + wait_ms, output, tasks });
    }
}
