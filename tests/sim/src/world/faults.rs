//! What goes wrong, and when it is over.

use super::turn::Part;
use super::{Event, Hit, World};
use crate::check::Check;
use crate::hub::{Hub, Lag, Machine};
use crate::note;
use crate::peer::Peer;
use crate::plan::{Fault, Point};
use crate::tally::Met;

impl World {
    pub(super) fn fault(&mut self, fault: Fault) {
        let now = self.clock.now();
        note!(self.trace, now, "fault: {fault:?}");
        match fault {
            Fault::CrashHub { at: Point::BetweenTurns, down_ms } => self.crash_hub(down_ms),
            Fault::SuspendHub { at: Point::BetweenTurns, ms } => self.resume_at(now + ms),
            Fault::CrashHub { at, down_ms } => self.armed.push((at, Hit::Crash { down_ms })),
            Fault::SuspendHub { at, ms } => self.armed.push((at, Hit::Suspend { ms })),
            Fault::CrashPeer { which, down_ms } => {
                let seat = self.busy_seat(which);
                self.crash_peer(seat, down_ms);
            }
            Fault::Isolate { which, ms } => {
                let seat = which as usize % self.seats.len();
                self.seats[seat].isolated_until = now + ms;
                self.tally.note(Met::Isolated);
            }
            Fault::DamageRow { which } => {
                if self.store.damage(which) {
                    self.tally.note(Met::RowDamaged);
                }
            }
            Fault::BusyHub { ms, turn_ms } => {
                self.busy = (now + ms, turn_ms);
                self.tally.note(Met::HubBusy);
            }
        }
    }

    /// Gone: what was not committed, and all that was in its sockets.
    pub(super) fn crash_hub(&mut self, down_ms: u64) {
        let Some(hub) = self.hub.take() else {
            return;
        };
        note!(self.trace, self.clock.now(), "hub    is gone for {down_ms} ms");
        self.commands += hub.commands();
        self.tally.note(Met::HubCrashed);
        if self.store.has_pending() {
            self.tally.note(Met::ChangesLost);
        }
        self.store.crash();
        self.leaving.clear();
        self.part = Part::Receive;
        self.turn_stamp += 1;
        self.suspended_until = 0;
        self.agenda.plan(self.clock.now() + down_ms, Event::StartHub);
    }

    pub(super) fn start_hub(&mut self) -> Check {
        if self.hub.is_some() {
            return Ok(());
        }
        note!(self.trace, self.clock.now(), "hub    starts");
        let config = self.plan.config.clone();
        let lag = Lag { folded_at: self.clock.now(), ..self.plan.lag.clone() };
        let mut machine = Machine {
            clock: &self.clock,
            store: &mut self.store,
            definitions: &self.definitions,
            trace: &mut self.trace,
            tally: &mut self.tally,
        };
        self.hub = Some(Hub::start(config, lag, self.plan.places, &mut machine)?);
        self.turn_at = u64::MAX;
        self.turn_at_latest(self.clock.now());
        Ok(())
    }

    /// The hub has no turns until then.
    pub(super) fn resume_at(&mut self, at: u64) {
        if self.hub.is_none() {
            return;
        }
        if at > self.clock.now() {
            self.tally.note(Met::HubPaused);
        }
        self.sleep_until(at);
    }

    pub(super) fn sleep_until(&mut self, at: u64) {
        self.suspended_until = at;
        self.turn_at = u64::MAX;
        self.turn_at_latest(at);
    }

    /// Who has something to lose, if anybody has.
    fn busy_seat(&self, which: u64) -> usize {
        let is_busy = |peer: &Peer| match peer {
            Peer::Client(client) => client.is_asking(),
            worker => !worker.is_idle(),
        };
        let busy = |&seat: &usize| self.seats[seat].peer.as_ref().is_some_and(is_busy);
        let busy: Vec<usize> = (0..self.seats.len()).filter(busy).collect();
        match busy.len() {
            0 => which as usize % self.seats.len(),
            many => busy[which as usize % many],
        }
    }

    fn crash_peer(&mut self, seat: usize, down_ms: u64) {
        let Some(peer) = self.seats[seat].peer.take() else {
            return;
        };
        let met = match (&peer, peer.is_idle()) {
            (Peer::Client(client), _) if client.is_asking() => Met::ClientCrashedAsking,
            (Peer::Client(_), _) => Met::ClientCrashed,
            (_, false) => Met::WorkerCrashedHolding,
            (_, true) => Met::WorkerCrashed,
        };
        self.tally.note(met);
        if let Peer::Client(client) = &peer {
            let repeats = self.random.chance(500);
            self.seats[seat].steps_done = client.steps_done(repeats);
        }
        self.seats[seat].wake_at = None;
        self.close(seat, self.seats[seat].conn);
        self.agenda.plan(self.clock.now() + down_ms, Event::StartPeer(seat));
    }
}
