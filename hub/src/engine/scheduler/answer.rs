//! Who can be answered is, after each command.

use super::Scheduler;
use super::state::worker::Worker;
use crate::engine::message::*;

impl Scheduler {
    /// After each command: whoever can be answered now is.
    pub(super) fn settle(&mut self, now: Millis) {
        // First, so that a worker that went silent is not given what was just taken from it.
        for worker in std::mem::take(&mut self.to_tell) {
            while self.workers.get(worker).is_some_and(Worker::has_news)
                && let Some(parked) = self.parking.take_worker(worker)
            {
                let stolen = self.stolen(worker, Vec::new());
                self.answer(parked.ticket, Answer::Stolen(stolen));
            }
        }
        while let Some(parked) = self.next_hungry(now) {
            let leases = match self.is_silent(now, parked.worker) {
                true => Vec::new(),
                false => self.grant(now, parked.worker, &parked.steal),
            };
            let stolen = self.stolen(parked.worker, leases);
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
        let phase = self.phase();
        let at_rest = matches!(phase, Phase::Stuck | Phase::Finished);
        while at_rest && let Some(parked) = self.parking.take_leaving() {
            let stolen = self.stolen(parked.worker, Vec::new());
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
        self.answer_awaiting(now);
        while let Some(ticket) = self.parking.take_wait(now, at_rest) {
            self.answer(ticket, Answer::Waited { phase });
        }
    }

    pub(super) fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
    }

    /// Requests that wait for something.
    pub(super) fn parked(&self) -> usize {
        self.parking.len() + self.awaiting.len()
    }

    pub(super) fn answer_busy(&mut self, ticket: Ticket) {
        let parked = self.parked();
        let message =
            format!("{parked} requests are parked already, which is the limit; ask again later");
        self.answer(ticket, Answer::Error { code: Code::Busy, message, names: Vec::new() });
    }

    pub(super) fn stolen(&mut self, id: WorkerId, leases: Vec<Leased>) -> Stolen {
        let away = leases.is_empty() && self.is_in_the_way(id);
        if let Some(worker) = self.workers.get_mut(id).filter(|_| away) {
            worker.sent_away = self.last_turn;
            self.note_standing(id);
        }
        let lost = self.workers.take_lost(id);
        let order = self.workers.get_mut(id).map(Worker::take_order).unwrap_or_default();
        Stolen {
            leases,
            fresh: true,
            phase: self.phase(),
            not_done: self.counts.not_done(),
            lost,
            order,
            away,
        }
    }
}
