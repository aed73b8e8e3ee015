//! Those who talk to the hub. Each is a machine that is stepped when something happens to it.

mod client;
mod link;
mod pool;
mod shell;

use dhub::engine::message::{ClientId, Millis, Name};

pub use client::Client;
pub use link::Act;
pub use pool::Pool;
pub use shell::Shell;

use crate::message::{PeerId, ReplyBody};
use crate::plan::{ClientPlan, LoopPlan, PoolPlan, WorkPlan};
use crate::random::Random;

/// Who sits where, over all lives.
#[derive(Clone, Debug)]
pub enum Role {
    Client(ClientPlan),
    Pool(PoolPlan),
    Shell(LoopPlan),
}

impl Role {
    pub fn name(&self) -> &'static str {
        match self {
            Role::Client(_) => "a client",
            Role::Pool(_) => "a pool",
            Role::Shell(plan) if plan.dwork => "a dwork program",
            Role::Shell(_) => "a shell loop",
        }
    }
}

pub enum Peer {
    Client(Client),
    Pool(Pool),
    Shell(Shell),
}

/// What a step may look at, besides the peer itself.
pub struct Surroundings<'a> {
    pub now: Millis,
    pub random: &'a mut Random,
    pub work: &'a WorkPlan,
    pub acts: &'a mut Vec<Act>,
}

impl Peer {
    pub fn new(role: &Role, seat: PeerId, life: u32, steps_done: usize) -> Self {
        match role {
            Role::Client(plan) => Peer::Client(Client::new(plan.clone(), life, steps_done)),
            Role::Pool(plan) => Peer::Pool(Pool::new(plan.clone(), seat, life)),
            Role::Shell(plan) => Peer::Shell(Shell::new(plan.clone(), seat, life)),
        }
    }

    pub fn answered(&mut self, conn: u32, id: u64, body: &ReplyBody, at: &mut Surroundings) {
        match self {
            Peer::Client(client) => client.answered(conn, id, body, at),
            Peer::Pool(pool) => pool.answered(conn, id, body, at),
            Peer::Shell(shell) => shell.answered(conn, id, body, at),
        }
    }

    /// Does all that is to be done now; returns when there is more.
    pub fn step(&mut self, at: &mut Surroundings) -> Option<Millis> {
        match self {
            Peer::Client(client) => client.step(at),
            Peer::Pool(pool) => pool.step(at),
            Peer::Shell(shell) => shell.step(at),
        }
    }

    /// Holds nothing and has nothing to say.
    pub fn is_idle(&self) -> bool {
        match self {
            Peer::Client(client) => client.is_idle(),
            Peer::Pool(pool) => pool.is_idle(),
            Peer::Shell(shell) => shell.is_idle(),
        }
    }
}

/// 16 bytes that nobody else has.
fn client_id(seat: PeerId, life: u32, count: u32) -> ClientId {
    let mut id = [0; 16];
    id[0] = seat as u8 + 1;
    id[4..8].copy_from_slice(&life.to_le_bytes());
    id[8..12].copy_from_slice(&count.to_le_bytes());
    id
}

/// Every other one has a key that is not the owner's. Of two shells on one machine, which are called the
/// same, the owner's may act for the other.
fn key(seat: PeerId) -> Name {
    if seat.is_multiple_of(2) { Name::default() } else { "lab".into() }
}

fn earliest(times: impl IntoIterator<Item = Option<Millis>>) -> Option<Millis> {
    times.into_iter().flatten().min()
}
