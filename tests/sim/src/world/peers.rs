//! Those who talk to the hub: what happens to them, and what they do then.

use super::{Event, World};
use crate::check::Check;
use crate::message::{Frame, PeerId, Reply};
use crate::note;
use crate::peer::{Act, Peer, Surroundings};
use crate::tally::Met;

impl World {
    pub(super) fn deliver(&mut self, reply: &Reply) -> Check {
        self.step(reply.to, Some(reply))
    }

    /// Something has happened to a peer: it does what is to be done.
    pub(super) fn step(&mut self, seat: PeerId, reply: Option<&Reply>) -> Check {
        let mut acts = Vec::new();
        let Some(peer) = &mut self.seats[seat].peer else {
            return Ok(());
        };
        let (now, random, work) = (self.clock.now(), &mut self.random, &self.plan.work);
        let mut at = Surroundings { now, random, work, acts: &mut acts };
        if let Some(Reply { conn, id, body, .. }) = reply {
            peer.answered(*conn, *id, body, &mut at);
        }
        let wake = peer.step(&mut at);
        acts.into_iter().try_for_each(|act| self.act(seat, act))?;
        if let Some(wake) = wake.map(|wake| wake.max(self.clock.now() + 1))
            && self.seats[seat].wake_at.is_none_or(|planned| wake < planned)
        {
            self.seats[seat].wake_at = Some(wake);
            self.agenda.plan(wake, Event::Wake(seat));
        }
        Ok(())
    }

    fn act(&mut self, seat: PeerId, act: Act) -> Check {
        let now = self.clock.now();
        match act {
            Act::Send { conn, id, ask } => {
                self.seats[seat].conn = conn;
                self.send_to_hub(Frame { from: seat, conn, id, ask });
            }
            Act::Close { conn } => {
                self.tally.note(Met::RequestRepeated);
                self.close(seat, conn);
            }
            Act::Started { name, attempt } => {
                note!(self.trace, now, "{seat}: starts {name}#{attempt}");
                return self.history.started(seat, &name, attempt, &self.store.committed);
            }
            Act::Completed(outcome) => self.history.completed(&outcome),
            Act::Created { task, merge } => return self.history.created(&task, merge),
        }
        Ok(())
    }

    pub(super) fn start_peer(&mut self, seat: PeerId) -> Check {
        let at = &mut self.seats[seat];
        if at.peer.is_some() {
            return Ok(());
        }
        at.life += 1;
        at.peer = Some(Peer::new(&at.role, seat, at.life, at.steps_done));
        note!(self.trace, self.clock.now(), "{seat}: starts as {}", at.role.name());
        self.step(seat, None)
    }
}
