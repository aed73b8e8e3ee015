//! Everything together: time, network, hub, peers, and what goes wrong.

use dhub::engine::message::Millis;

use crate::check::Check;
use crate::check::details::Definitions;
use crate::check::history::History;
use crate::clock::{Agenda, Clock};
use crate::hub::{Hub, Machine};
use crate::message::{Frame, PeerId, Reply, ReplyBody};
use crate::peer::{Peer, Role};
use crate::plan::{Fault, Plan, Point};
use crate::random::Random;
use crate::store::Store;
use crate::tally::{Met, Tally};
use crate::trace::Trace;

mod end;
mod faults;
mod network;
mod peers;
mod turn;

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
    definitions: Definitions,
    hub: Option<Hub>,
    /// The part of its turn in which the hub is.
    part: turn::Part,
    /// Replies that have not left yet.
    leaving: Vec<Reply>,
    turn_at: Millis,
    turn_stamp: u64,
    suspended_until: Millis,
    /// Until when it has more to do than it can, and how long its turns take.
    busy: (Millis, u64),
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
            definitions: Definitions::of(&plan.clients),
            hub: None,
            part: turn::Part::Receive,
            leaving: Vec::new(),
            turn_at: 0,
            turn_stamp: 0,
            suspended_until: 0,
            busy: (0, 0),
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
            definitions: &self.definitions,
            trace: &mut self.trace,
            tally: &mut self.tally,
        };
        (self.hub.as_mut(), machine)
    }

    fn is_answer(body: &ReplyBody) -> String {
        match body {
            ReplyBody::Answer(answer) => crate::describe::Brief(&**answer).to_string(),
            ReplyBody::JobDone => "done".into(),
        }
    }
}
