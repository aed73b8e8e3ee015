//! What a seed stands for: who takes part, what they want, what goes wrong.

mod clients;
mod faults;
mod tasks;
mod workers;

use dhub::engine::message::{Adjustment, Millis, Name, NewTask, Order};
use dhub::engine::message::{Deed, Selection};
use dhub::engine::scheduler::Config;

use crate::hub::Lag;
use crate::random::Random;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

pub struct Plan {
    pub config: Config,
    /// Of the tables, behind what is committed.
    pub lag: Lag,
    /// How many workers may hold tasks at a time.
    pub places: usize,
    /// When the faults end; from then on everything is given the time to run out.
    pub calm_at: Millis,
    pub network: NetworkPlan,
    pub clients: Vec<ClientPlan>,
    pub pools: Vec<PoolPlan>,
    pub loops: Vec<LoopPlan>,
    pub work: WorkPlan,
    pub faults: Vec<(Millis, Fault)>,
    /// Of the wall clock, from random numbers of their own: nothing else may depend on them.
    pub jumps: Vec<(Millis, i64)>,
}

/// In thousandths of all messages, and milliseconds.
#[derive(Clone, Debug)]
pub struct NetworkPlan {
    pub dropped: u64,
    pub doubled: u64,
    pub slow: u64,
    pub undeliverable: u64,
    pub delay: (u64, u64),
    pub slow_delay: u64,
}

/// How long processes run, and how many fail.
#[derive(Clone, Debug)]
pub struct WorkPlan {
    pub run_ms: (u64, u64),
    pub failing: u64,
}

#[derive(Clone, Debug)]
pub struct ClientPlan {
    /// Each after a pause.
    pub steps: Vec<(Millis, Step)>,
    pub patience_ms: u64,
}

#[derive(Clone, Debug)]
pub enum Step {
    Create {
        tasks: Vec<NewTask>,
        merge: bool,
    },
    Cancel(Vec<Name>),
    Adjust {
        names: Vec<Name>,
        to: Adjustment,
    },
    Sweep {
        selection: Selection,
        deed: Deed,
    },
    Retry {
        selection: Selection,
        done: bool,
    },
    /// Workers by name or pattern.
    Steer {
        workers: Vec<Name>,
        order: Order,
    },
    /// Somebody knows that this worker is gone; or thinks so.
    Dismiss(Name),
    Wait(u64),
    Await {
        names: Vec<Name>,
        wait_ms: u64,
    },
    /// All of these at once.
    Together(Vec<Step>),
}

/// A kworker.
#[derive(Clone, Debug)]
pub struct PoolPlan {
    pub slots: usize,
    pub ahead: usize,
    pub stay: bool,
    /// Heartbeats as requests: the hub's reports cannot be reached.
    pub asks_heartbeats: bool,
    pub patience_ms: u64,
    /// How often, of a thousand times that something happens to it, it gives back some of what it has.
    pub gives_back: u64,
    /// How often it steals and starts nothing for a while.
    pub pauses: u64,
}

/// A program written for dwork, or a shell loop of dquery.
#[derive(Clone, Debug)]
pub struct LoopPlan {
    pub dwork: bool,
    pub n: u32,
    pub wait_ms: u64,
    pub lease_ms: u64,
    pub patience_ms: u64,
    /// Gives back so many of a thousand tasks instead of running them.
    pub gives_back: u64,
    pub exits: u64,
}

/// Where in a turn the hub is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    BetweenTurns,
    AfterReceive,
    BeforeCommit,
    AfterCommit,
    AmidAnswers,
    /// After a commit with which some of a long request is done, and not all.
    AmidLong,
}

#[derive(Clone, Copy, Debug)]
pub enum Fault {
    CrashHub {
        at: Point,
        down_ms: u64,
    },
    SuspendHub {
        at: Point,
        ms: u64,
    },
    /// The number chooses among those who take part.
    CrashPeer {
        which: u64,
        down_ms: u64,
    },
    Isolate {
        which: u64,
        ms: u64,
    },
    /// The row of an open task is not what was written any more.
    DamageRow {
        which: u64,
    },
    /// Turns that take long, one after the other, in which few messages are taken in while more come.
    BusyHub {
        ms: u64,
        turn_ms: u64,
    },
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::apart(seed, 1);
        let random = &mut random;
        let calm_at = random.mostly_low(2 * MINUTE, 150 * MINUTE);
        let work = WorkPlan {
            run_ms: (100, random.mostly_low(SECOND, 5 * MINUTE)),
            failing: *random.pick(&[0, 50, 150, 400]),
        };
        // From numbers of its own, so that seeds stay what they are.
        let retry_delay_ms = *Random::apart(seed, 3).pick(&[0, SECOND, SECOND, MINUTE]);
        let pools = random.below(4);
        let loops = random.below(3).max(u64::from(pools == 0));
        Self {
            lag: lag(seed),
            places: places(seed),
            config: Config {
                worker_timeout_ms: *random.pick(&[3 * SECOND, 30 * SECOND, 30 * SECOND]),
                lease_ms: *random.pick(&[5 * MINUTE, 60 * MINUTE]),
                parked_requests_max: *random.pick(&[2, 100, 100, 100, 100]),
                needs_max: 65_536,
                // Two or three leases: steals that get less than they ask for are common.
                leases_bytes_max: 400,
                // With fewer, last tries beside workers that are never idle are common.
                reclaims_max: *Random::apart(seed, 15).pick(&[5, 5, 3]),
                skips_max: *random.pick(&[1, 2, 2_000]),
                retry_delay_ms,
                inherit_priority: *Random::apart(seed, 14).pick(&[true, true, false]),
            },
            calm_at,
            network: workers::network(random),
            clients: clients::clients(random, seed, calm_at),
            pools: workers::pools(random, seed, pools),
            loops: (0..loops).map(|_| workers::a_loop(random)).collect(),
            work,
            faults: faults::faults(random, seed, calm_at),
            jumps: faults::jumps(seed, calm_at),
        }
    }
}

fn places(seed: u64) -> usize {
    // From numbers of its own, so that seeds stay what they are.
    *Random::apart(seed, 12).pick(&[usize::MAX, usize::MAX, 1, 2])
}

fn lag(seed: u64) -> Lag {
    // From numbers of its own, so that seeds stay what they are.
    let mut random = Random::apart(seed, 5);
    let turns = *random.pick(&[1, 3, 3, 20, 1_000]);
    Lag { turns, left: random.below(turns.min(4)), folded_at: 0 }
}
