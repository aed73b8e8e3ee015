//! The network: what is sent arrives once, late, twice, or never, and in any order.

use super::{Event, World};
use crate::message::{Frame, PeerId, Reply};
use crate::note;
use crate::tally::Met;

impl World {
    pub(super) fn send_to_hub(&mut self, frame: Frame) {
        for delay in self.delays(frame.from) {
            self.agenda.plan(self.clock.now() + delay, Event::Arrive(frame.clone()));
        }
    }

    pub(super) fn send_to_peer(&mut self, reply: &Reply) {
        note!(
            self.trace,
            self.clock.now(),
            "hub -> {}: {}",
            reply.to,
            Self::is_answer(&reply.body)
        );
        for delay in self.delays(reply.to) {
            self.agenda.plan(self.clock.now() + delay, Event::Deliver(reply.clone()));
        }
    }

    /// The hub hears of it, sooner or later; not through a network that is down.
    pub(super) fn close(&mut self, peer: PeerId, conn: u32) {
        for delay in self.delays(peer).into_iter().take(1) {
            self.agenda.plan(self.clock.now() + delay, Event::Closed { peer, conn });
        }
    }

    /// How long each copy of a message takes; none of them: it is lost.
    fn delays(&mut self, peer: PeerId) -> Vec<u64> {
        if self.is_calm {
            return vec![self.random.within(1, 3)];
        }
        let plan = &self.plan.network;
        if self.seats[peer].isolated_until > self.clock.now() || self.random.chance(plan.dropped) {
            self.tally.note(Met::MessageLost);
            return Vec::new();
        }
        let copies = 1 + usize::from(self.random.chance(plan.doubled));
        if copies > 1 {
            self.tally.note(Met::MessageDoubled);
        }
        let mut delays = Vec::with_capacity(copies);
        for _ in 0..copies {
            let slow = if self.random.chance(plan.slow) { plan.slow_delay } else { 0 };
            if slow > 0 {
                self.tally.note(Met::MessageDelayed);
            }
            let (low, high) = plan.delay;
            delays.push(self.random.within(low, high) + self.random.below(slow + 1));
        }
        delays
    }

    /// At the hub's machine. A socket of a hub that is down may keep a message for the next one.
    pub(super) fn arrive(&mut self, frame: Frame) {
        let Some(hub) = &mut self.hub else {
            if self.is_calm || self.random.chance(500) {
                let later = self.random.within(500, 5000);
                self.agenda.plan(self.clock.now() + later, Event::Arrive(frame));
            }
            return;
        };
        hub.inbox.push_back(frame);
        let soon = self.clock.now() + self.random.below(4);
        self.turn_at_latest(soon);
    }
}
