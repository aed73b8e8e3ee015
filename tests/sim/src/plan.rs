//! What a seed stands for: who takes part, what they want, what goes wrong.

use dhub::convert::{Deed, Selection, definition};
use dhub::scheduler::message::{Adjustment, Millis, Name, NewTask};
use dhub::scheduler::{Config, State};

use crate::hub::Lag;
use crate::random::Random;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

pub struct Plan {
    pub config: Config,
    /// Of the tables, behind what is committed.
    pub lag: Lag,
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
    Create { tasks: Vec<NewTask>, merge: bool },
    Cancel(Vec<Name>),
    Adjust { names: Vec<Name>, to: Adjustment },
    Sweep { selection: Selection, deed: Deed },
    Retry { selection: Selection, done: bool },
    Wait(u64),
    Await { names: Vec<Name>, wait_ms: u64 },
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
            config: Config {
                worker_timeout_ms: *random.pick(&[3 * SECOND, 30 * SECOND, 30 * SECOND]),
                lease_ms: *random.pick(&[5 * MINUTE, 60 * MINUTE]),
                parked_requests_max: *random.pick(&[2, 100, 100, 100, 100]),
                needs_max: 65_536,
                // Two or three leases: steals that get less than they ask for are common.
                leases_bytes_max: 400,
                reclaims_max: 5,
                skips_max: *random.pick(&[1, 2, 2_000]),
                retry_delay_ms,
            },
            calm_at,
            network: network(random),
            clients: clients(random, calm_at).into_iter().chain(adjusting(seed, calm_at)).collect(),
            pools: (0..pools).map(|_| pool(random)).collect(),
            loops: (0..loops).map(|_| a_loop(random)).collect(),
            work,
            faults: faults(random, calm_at),
            jumps: jumps(seed, calm_at),
        }
    }
}

fn lag(seed: u64) -> Lag {
    // From numbers of its own, so that seeds stay what they are.
    let mut random = Random::apart(seed, 5);
    let turns = *random.pick(&[1, 3, 3, 20, 1_000]);
    Lag { turns, left: random.below(turns.min(4)), folded_at: 0 }
}

fn network(random: &mut Random) -> NetworkPlan {
    NetworkPlan {
        dropped: *random.pick(&[0, 5, 30, 150]),
        doubled: *random.pick(&[0, 5, 30, 100]),
        slow: *random.pick(&[0, 10, 50]),
        undeliverable: *random.pick(&[0, 0, 10, 100]),
        delay: (1, *random.pick(&[1, 5, 50, 500])),
        slow_delay: *random.pick(&[5 * SECOND, 40 * SECOND, 3 * MINUTE]),
    }
}

fn pool(random: &mut Random) -> PoolPlan {
    let slots = random.within(1, 4) as usize;
    PoolPlan {
        slots,
        ahead: *random.pick(&[0, 1, slots]),
        stay: random.chance(500),
        asks_heartbeats: random.chance(200),
        patience_ms: *random.pick(&[3 * SECOND, 10 * SECOND, 10 * SECOND]),
    }
}

fn a_loop(random: &mut Random) -> LoopPlan {
    let dwork = random.chance(500);
    LoopPlan {
        dwork,
        n: *random.pick(&[1, 1, 1, 3]),
        wait_ms: if dwork { 0 } else { *random.pick(&[0, 20 * SECOND]) },
        lease_ms: if dwork { 0 } else { *random.pick(&[0, 0, 20 * SECOND, 10 * MINUTE]) },
        patience_ms: *random.pick(&[10 * SECOND, 30 * SECOND]),
        gives_back: *random.pick(&[0, 50, 200]),
        exits: *random.pick(&[0, 20, 300]),
    }
}

fn name(i: u64) -> Name {
    format!("t{i}").into()
}

fn new_task(name: Name, needs: Vec<Name>, priority: i32, retries: u32) -> NewTask {
    let definition = definition(&needs, priority, retries, None);
    NewTask { name, needs, definition, priority, retries, details: None }
}

/// Needs lead to smaller numbers, but for a few cycles; the batches come in any order.
fn batches(random: &mut Random) -> Vec<Step> {
    let count = random.mostly_low(2, 50);
    let dense = *random.pick(&[0, 300, 600, 900]);
    let ghosts = *random.pick(&[0, 0, 0, 30]);
    let mut tasks = Vec::new();
    for i in 0..count {
        let mut needs = Vec::new();
        for _ in 0..3 {
            if i > 0 && random.chance(dense) {
                let near = random.below(i.min(6)) + 1;
                let need = name(if random.chance(700) { i - near } else { random.below(i) });
                if !needs.contains(&need) {
                    needs.push(need);
                }
            }
        }
        if random.chance(ghosts) {
            needs.push(format!("ghost{}", random.below(3)).into());
        }
        let priority = if random.chance(100) { random.below(5) as i32 - 2 } else { 0 };
        let retries = *random.pick(&[0, 0, 1, 3]);
        tasks.push(new_task(name(i), needs, priority, retries));
    }
    let merge = random.chance(150);
    let mut steps = Vec::new();
    while !tasks.is_empty() {
        let many = random.within(1, 15).min(tasks.len() as u64) as usize;
        let mut batch: Vec<NewTask> = tasks.drain(..many).collect();
        if random.chance(300) {
            random.shuffle(&mut batch);
        }
        steps.push(Step::Create { tasks: batch, merge });
    }
    if random.chance(400) {
        random.shuffle(&mut steps);
    }
    for _ in 0..random.below(3) {
        let at = random.below(steps.len() as u64 + 1) as usize;
        steps.insert(at, mistake(random, count, merge));
    }
    steps
}

/// A cycle, or a definition that contradicts another.
fn mistake(random: &mut Random, count: u64, merge: bool) -> Step {
    let i = random.below(count);
    let task = match random.below(3) {
        0 => new_task(name(i), Vec::new(), 77, 0),
        1 => new_task(name(i), vec![name(random.within(i, count - 1))], 0, 0),
        _ => new_task("ghost0".into(), vec![name(random.below(count))], 0, 0),
    };
    Step::Create { tasks: vec![task], merge }
}

fn clients(random: &mut Random, calm_at: Millis) -> Vec<ClientPlan> {
    let mut steps: Vec<Step> = batches(random);
    let count = 50;
    let interventions = *random.pick(&[0, 3, 8, 25]);
    for _ in 0..interventions {
        let names: Vec<Name> =
            (0..random.within(1, 3)).map(|_| name(random.below(count))).collect();
        let by_name = Selection { names: names.clone(), ..Selection::default() };
        let step = match random.below(10) {
            0 | 1 => Step::Cancel(names),
            2 => Step::Sweep { selection: one_state(random), deed: Deed::Cancel },
            3 | 4 => Step::Retry { selection: by_name, done: false },
            5 if random.chance(300) => Step::Retry { selection: by_name, done: true },
            5 => Step::Wait(random.within(SECOND, MINUTE)),
            _ => {
                let states = vec![State::Failed, State::Skipped, State::Cancelled];
                let selection = Selection { states, ..Selection::default() };
                Step::Retry { selection, done: false }
            }
        };
        let at = random.below(steps.len() as u64 + 1) as usize;
        // Most of it makes sense only later.
        let at = if random.chance(700) { steps.len() } else { at };
        steps.insert(at, step);
    }
    let clients = random.within(1, 3) as usize;
    let pause = 2 * calm_at / (steps.len() as u64 * 3 + 1);
    let mut plans = Vec::new();
    for i in 0..clients {
        let own = steps.iter().skip(i).step_by(clients);
        plans.push(ClientPlan {
            steps: own.map(|step| (random.mostly_low(0, pause), step.clone())).collect(),
            patience_ms: *random.pick(&[2 * SECOND, 10 * SECOND]),
        });
    }
    plans
}

fn one_state(random: &mut Random) -> Selection {
    let state = *random.pick(&[State::Waiting, State::Ready, State::Running]);
    Selection { states: vec![state], ..Selection::default() }
}

/// A person who holds tasks and changes priorities, and in the end lets all of them go; and one who waits.
fn adjusting(seed: u64, calm_at: Millis) -> Vec<ClientPlan> {
    // From numbers of its own, so that seeds stay what they are.
    let mut random = Random::apart(seed, 4);
    let random = &mut random;
    if random.chance(500) {
        return Vec::new();
    }
    let mut steps = Vec::new();
    for _ in 0..random.within(1, 12) {
        let names = (0..random.within(1, 4)).map(|_| name(random.below(12))).collect();
        let pattern: Name = format!("t{}*", random.below(5)).into();
        let by_pattern = Selection { patterns: vec![pattern], ..Selection::default() };
        let held = Adjustment::Held(random.chance(600));
        let priority = Adjustment::Priority(random.below(5) as i32 - 2);
        let step = match random.below(12) {
            0..3 => Step::Adjust { names, to: held },
            3 => Step::Adjust { names, to: priority },
            4 => Step::Sweep { selection: one_state(random), deed: Deed::Adjust(held) },
            5 => Step::Sweep { selection: by_pattern, deed: Deed::Adjust(priority) },
            6 => Step::Retry { selection: by_pattern, done: false },
            // One that is there most likely, and not finished yet.
            _ => {
                let names = vec![name(random.mostly_low(0, 12))];
                Step::Await { names, wait_ms: random.within(20 * SECOND, MINUTE) }
            }
        };
        steps.push((random.mostly_low(0, calm_at / 12), step));
    }
    let selection = Selection { held: true, ..Selection::default() };
    let deed = Deed::Adjust(Adjustment::Held(false));
    // Again and again: one who was killed with a hold in its hands may have sent it late.
    for _ in 0..3 {
        steps.push((calm_at / 3, Step::Sweep { selection: selection.clone(), deed }));
    }
    vec![ClientPlan { steps, patience_ms: 10 * SECOND }]
}

fn point(random: &mut Random) -> Point {
    use Point::*;
    *random.pick(&[BetweenTurns, AfterReceive, BeforeCommit, AfterCommit, AmidAnswers])
}

fn faults(random: &mut Random, calm_at: Millis) -> Vec<(Millis, Fault)> {
    let mut faults = Vec::new();
    let (crashes, suspends) = (random.below(5), random.below(3));
    let (peers, isolations) = (random.below(5), random.below(4));
    for _ in 0..crashes {
        let down_ms = *random.pick(&[10, SECOND, 20 * SECOND, 3 * MINUTE]);
        faults.push(Fault::CrashHub { at: point(random), down_ms });
    }
    for _ in 0..suspends {
        let ms = *random.pick(&[SECOND, 5 * SECOND, 40 * SECOND, 20 * MINUTE, 90 * MINUTE]);
        faults.push(Fault::SuspendHub { at: point(random), ms });
    }
    for _ in 0..peers {
        let down_ms = random.mostly_low(100, 5 * MINUTE);
        faults.push(Fault::CrashPeer { which: random.below(1 << 20), down_ms });
    }
    for _ in 0..isolations {
        let ms = *random.pick(&[5 * SECOND, 40 * SECOND, 5 * MINUTE]);
        faults.push(Fault::Isolate { which: random.below(1 << 20), ms });
    }
    // Early ones meet more work.
    faults.into_iter().map(|fault| (random.mostly_low(0, calm_at), fault)).collect()
}

fn jumps(seed: u64, calm_at: Millis) -> Vec<(Millis, i64)> {
    let mut random = Random::apart(seed, 2);
    let jump = |random: &mut Random| {
        let ms = *random.pick(&[2 * SECOND, 5 * MINUTE, 24 * 60 * MINUTE]) as i64;
        (random.below(calm_at), if random.chance(500) { ms } else { -ms })
    };
    (0..random.below(4)).map(|_| jump(&mut random)).collect()
}
