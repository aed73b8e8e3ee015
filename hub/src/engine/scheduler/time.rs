//! What time alone brings about.

use super::Scheduler;
use super::state::lease::Lease;
use super::state::origin::Origin;
use super::state::workers::Workers;
use crate::engine::message::*;

/// Without a turn for this long the hub itself was stopped or asleep.
const PAUSE_MS: u64 = 1_250;

impl Scheduler {
    /// After a pause of the hub leases are longer by it, before anything else changes them.
    pub(super) fn notice_pause(&mut self, now: Millis) {
        if let Some(last) = self.last_turn
            && now > last + PAUSE_MS
        {
            self.leases.extend_all(now - last);
            self.workers.woke(now, now - last);
        }
        self.last_turn = Some(now);
    }

    pub(super) fn tick(&mut self, now: Millis) {
        while let Some(lease) = self.leases.expired(now) {
            self.reclaim(lease);
        }
        while let Some(slot) = self.backoff.take_due(now) {
            self.make_ready(slot, Origin::GivenBack);
        }
        self.send_away();
        while let Some(parked) = self.parking.take_due(now) {
            let stolen = self.stolen(parked.worker, Vec::new());
            self.answer(parked.ticket, Answer::Stolen(stolen));
        }
        let (leases, parking) = (&self.leases, &self.parking);
        let needed = |workers: &Workers| {
            let caller = |lease: &Lease| {
                let key = workers.get(lease.worker).map(|worker| worker.who.key.clone());
                Some((key.unwrap_or_default(), lease.client?))
            };
            leases.iter().filter_map(|(_, lease)| caller(lease)).collect()
        };
        self.workers.sweep(now, needed, |worker| parking.has_worker(worker));
    }

    /// Its machine may be gone without the connection knowing. If it lives, it asks again at once;
    /// if not, no task waits for a term in vain.
    pub(super) fn is_silent(&self, now: Millis, worker: WorkerId) -> bool {
        self.workers.get(worker).is_some_and(|worker| {
            worker.who.id.is_some() && now > worker.last_seen + self.config.worker_timeout_ms
        })
    }
}
