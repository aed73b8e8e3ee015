//! Everything together: time, network, hub, peers, and what goes wrong.

use dhub::scheduler::message::Millis;

use crate::check::Check;
use crate::check::history::History;
use crate::clock::{Agenda, Clock};
use crate::hub::{Hub, Machine};
use crate::message::{Body, Frame, PeerId, Reply};
use crate::note;
use crate::peer::{Act, Peer, Role, Surroundings};
use crate::plan::{Fault, Plan, Point};
use crate::random::Random;
use crate::store::Store;
use crate::tally::{Met, Tally};
use crate::trace::Trace;

mod faults;
mod network;
mod turn;

/// At most this long after the last fault all must have run out: a few leases of an hour, and the
/// longest line of processes.
const CALM_MS_MAX: u64 = 48 * 3_600_000;
const LOOK_MS: u64 = 5_000;

enum Event {
    Arrive(Frame),
    Deliver(Reply),
    Closed { peer: PeerId, conn: u32 },
    Wake(PeerId),
    Turn(u64),
    Fault(Fault),
    StartHub,
    StartPeer(PeerId),
    Jump(i64),
    Calm,
    Look,
}

struct Seat {
    role: Role,
    peer: Option<Peer>,
    life: u32,
    conn: u32,
    wake_at: Option<Millis>,
    /// Of a client: where its next life goes on.
    steps_done: usize,
    isolated_until: Millis,
}

/// What happens to the hub at a point of its next turns.
#[derive(Clone, Copy)]
enum Hit {
    Crash { down_ms: u64 },
    Suspend { ms: u64 },
}

pub struct World {
    plan: Plan,
    clock: Clock,
    agenda: Agenda<Event>,
    random: Random,
    store: Store,
    hub: Option<Hub>,
    /// The part of its turn in which the hub is.
    part: turn::Part,
    /// Replies that have not left yet.
    leaving: Vec<Reply>,
    turn_at: Millis,
    turn_stamp: u64,
    suspended_until: Millis,
    armed: Vec<(Point, Hit)>,
    seats: Vec<Seat>,
    history: History,
    tally: Tally,
    trace: Trace,
    is_calm: bool,
    is_over: bool,
    began: Millis,
    commands: u64,
}

impl World {
    pub fn new(seed: u64, trace_lines: usize, jumps: bool) -> Self {
        let plan = Plan::new(seed);
        let roles = plan.clients.iter().cloned().map(Role::Client);
        let roles = roles.chain(plan.pools.iter().cloned().map(Role::Pool));
        let roles = roles.chain(plan.loops.iter().cloned().map(Role::Shell));
        let seats = roles.map(|role| Seat {
            role,
            peer: None,
            life: 0,
            conn: 0,
            wake_at: None,
            steps_done: 0,
            isolated_until: 0,
        });
        let clock = Clock::new();
        let mut world = Self {
            seats: seats.collect(),
            began: clock.now(),
            clock,
            agenda: Agenda::new(),
            random: Random::new(seed),
            store: Store::default(),
            hub: None,
            part: turn::Part::Receive,
            leaving: Vec::new(),
            turn_at: 0,
            turn_stamp: 0,
            suspended_until: 0,
            armed: Vec::new(),
            history: History::default(),
            tally: Tally::default(),
            trace: Trace::new(trace_lines),
            is_calm: false,
            is_over: false,
            commands: 0,
            plan,
        };
        world.plan_all(jumps);
        world
    }

    fn plan_all(&mut self, jumps: bool) {
        let begin = self.clock.now();
        self.agenda.plan(begin, Event::StartHub);
        for seat in 0..self.seats.len() {
            self.agenda.plan(begin + self.random.below(2000), Event::StartPeer(seat));
        }
        for (at, fault) in std::mem::take(&mut self.plan.faults) {
            self.agenda.plan(begin + at, Event::Fault(fault));
        }
        self.agenda.plan(begin + self.plan.calm_at, Event::Calm);
        for (at, ms) in std::mem::take(&mut self.plan.jumps) {
            if jumps {
                self.agenda.plan(begin + at, Event::Jump(ms));
            }
        }
    }

    /// Until everything has run out, or a rule is broken.
    pub fn run(&mut self) -> Check {
        while !self.is_over {
            let Some((at, event)) = self.agenda.pop() else {
                return Err("nothing is going to happen any more".into());
            };
            self.clock.advance(at);
            self.handle(event)?;
        }
        self.history.check(&self.store.committed)
    }

    pub fn virtual_ms(&self) -> u64 {
        self.clock.now() - self.began
    }

    pub fn commands(&self) -> u64 {
        self.commands + self.hub.as_ref().map_or(0, Hub::commands)
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub fn into_trace(self) -> Trace {
        self.trace
    }

    fn handle(&mut self, event: Event) -> Check {
        match event {
            Event::Arrive(frame) => self.arrive(frame),
            Event::Deliver(reply) => return self.deliver(&reply),
            Event::Closed { peer, conn } => {
                if let Some(hub) = &mut self.hub {
                    hub.lost_peer(peer, conn);
                }
            }
            Event::Wake(seat) => {
                if self.seats[seat].wake_at == Some(self.clock.now()) {
                    self.seats[seat].wake_at = None;
                    return self.step(seat, None);
                }
            }
            Event::Turn(stamp) if stamp == self.turn_stamp => return self.turn(),
            Event::Turn(_) => {}
            Event::Fault(fault) => self.fault(fault),
            Event::StartHub => return self.start_hub(),
            Event::StartPeer(seat) => return self.start_peer(seat),
            Event::Jump(ms) => {
                self.tally.note(Met::ClockJumped);
                self.clock.jump_wall(ms);
            }
            Event::Calm => self.calm_down(),
            Event::Look => return self.look(),
        }
        Ok(())
    }

    fn machine(&mut self) -> (Option<&mut Hub>, Machine<'_>) {
        let machine = Machine {
            clock: &self.clock,
            store: &mut self.store,
            trace: &mut self.trace,
            tally: &mut self.tally,
        };
        (self.hub.as_mut(), machine)
    }

    // --- peers -------------------------------------------------------------------------------

    fn deliver(&mut self, reply: &Reply) -> Check {
        self.step(reply.to, Some(reply))
    }

    /// Something has happened to a peer: it does what is to be done.
    fn step(&mut self, seat: PeerId, reply: Option<&Reply>) -> Check {
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

    fn start_peer(&mut self, seat: PeerId) -> Check {
        let at = &mut self.seats[seat];
        if at.peer.is_some() {
            return Ok(());
        }
        at.life += 1;
        at.peer = Some(Peer::new(&at.role, seat, at.life, at.steps_done));
        note!(self.trace, self.clock.now(), "{seat}: starts as {}", at.role.name());
        self.step(seat, None)
    }

    // --- the end -----------------------------------------------------------------------------

    /// No faults any more: what has begun can end.
    fn calm_down(&mut self) {
        note!(self.trace, self.clock.now(), "all is calm from now on");
        self.is_calm = true;
        self.armed.clear();
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

    fn look(&mut self) -> Check {
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

    fn is_answer(body: &Body) -> String {
        match body {
            Body::Answer(answer) => crate::describe::Brief(&**answer).to_string(),
            Body::JobDone => "done".into(),
        }
    }
}
