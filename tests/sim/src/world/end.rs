//! The end: no faults any more, and then nothing to do any more.

use super::{Event, Seat, World};
use crate::check::Check;
use crate::hub::Hub;
use crate::note;
use crate::peer::Peer;

/// At most this long after the last fault all must have run out: a few leases of an hour, and the
/// longest line of processes.
const CALM_MS_MAX: u64 = 48 * 3_600_000;
const LOOK_MS: u64 = 5_000;

impl World {
    /// No faults any more: what has begun can end.
    pub(super) fn calm_down(&mut self) {
        note!(self.trace, self.clock.now(), "all is calm from now on");
        self.is_calm = true;
        self.armed.clear();
        self.busy = (0, 0);
        self.agenda.plan(self.clock.now() + LOOK_MS, Event::Look);
        if self.hub.is_none() {
            self.agenda.plan(self.clock.now(), Event::StartHub);
        }
        for seat in 0..self.seats.len() {
            self.seats[seat].isolated_until = 0;
            self.agenda.plan(self.clock.now(), Event::StartPeer(seat));
        }
        if self.suspended_until > self.clock.now() {
            self.resume_at(self.clock.now());
        }
    }

    pub(super) fn look(&mut self) -> Check {
        let idle = |seat: &Seat| seat.peer.as_ref().is_some_and(Peer::is_idle);
        let at_rest = self.hub.as_ref().is_some_and(Hub::is_at_rest);
        if at_rest && !self.store.has_pending() && self.seats.iter().all(idle) {
            self.is_over = true;
            return Ok(());
        }
        if self.virtual_ms() > self.plan.calm_at + CALM_MS_MAX {
            let busy = self.seats.iter().position(|seat| !idle(seat));
            return Err(format!(
                "{} hours without a fault, and still not at rest: hub at rest: {at_rest}, busy peer: {busy:?}",
                CALM_MS_MAX / 3_600_000
            ));
        }
        self.agenda.plan(self.clock.now() + LOOK_MS, Event::Look);
        Ok(())
    }
}
