//! What goes wrong, and when.

use dhub::engine::message::Millis;

use super::{Fault, MINUTE, Point, SECOND};
use crate::random::Random;

fn point(random: &mut Random) -> Point {
    use Point::*;
    *random.pick(&[BetweenTurns, AfterReceive, BeforeCommit, AfterCommit, AmidAnswers])
}

pub fn faults(random: &mut Random, seed: u64, calm_at: Millis) -> Vec<(Millis, Fault)> {
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
    let at = |fault| (random.mostly_low(0, calm_at), fault);
    let others = later(seed, calm_at).into_iter().chain(damages(seed, calm_at));
    let others = others.chain(crash_amid_long(seed, calm_at));
    faults.into_iter().map(at).chain(others).collect()
}

/// Minutes in which the hub has more to do than it can, and ends that meet what was held meanwhile.
fn later(seed: u64, calm_at: Millis) -> Vec<(Millis, Fault)> {
    // From numbers of its own, so that seeds stay what they are.
    let mut random = Random::apart(seed, 8);
    let random = &mut random;
    let spell = |random: &mut Random| {
        let turn_ms = *random.pick(&[20, 200, 1_100]);
        let ms = random.mostly_low(10 * SECOND, 5 * MINUTE);
        (random.mostly_low(0, calm_at), Fault::BusyHub { ms, turn_ms })
    };
    let mut faults: Vec<_> = (0..random.below(3)).map(|_| spell(random)).collect();
    for _ in 0..random.below(3) {
        let down_ms = *random.pick(&[10, SECOND, 20 * SECOND]);
        let crash = Fault::CrashHub { at: point(random), down_ms };
        faults.push((random.below(calm_at), crash));
    }
    faults
}

/// A copy of what was under way comes to the next hub.
fn crash_amid_long(seed: u64, calm_at: Millis) -> Option<(Millis, Fault)> {
    // From numbers of its own, so that seeds stay what they are.
    let mut random = Random::apart(seed, 13);
    let down_ms = *random.pick(&[10, SECOND, 20 * SECOND]);
    let crash = Fault::CrashHub { at: Point::AmidLong, down_ms };
    random.chance(400).then(|| (random.mostly_low(0, calm_at), crash))
}

fn damages(seed: u64, calm_at: Millis) -> Vec<(Millis, Fault)> {
    // From numbers of its own, so that seeds stay what they are.
    let mut random = Random::apart(seed, 11);
    let count = if random.chance(500) { 0 } else { random.within(1, 4) };
    let mut damage = || {
        let fault = Fault::DamageRow { which: random.below(1 << 20) };
        (random.mostly_low(0, calm_at), fault)
    };
    (0..count).map(|_| damage()).collect()
}

pub fn jumps(seed: u64, calm_at: Millis) -> Vec<(Millis, i64)> {
    let mut random = Random::apart(seed, 2);
    let jump = |random: &mut Random| {
        let ms = *random.pick(&[2 * SECOND, 5 * MINUTE, 24 * 60 * MINUTE]) as i64;
        (random.below(calm_at), if random.chance(500) { ms } else { -ms })
    };
    (0..random.below(4)).map(|_| jump(&mut random)).collect()
}
