//! Who works, and over what network.

use super::{LoopPlan, MINUTE, NetworkPlan, PoolPlan, SECOND};
use crate::random::Random;

pub fn network(random: &mut Random) -> NetworkPlan {
    NetworkPlan {
        dropped: *random.pick(&[0, 5, 30, 150]),
        doubled: *random.pick(&[0, 5, 30, 100]),
        slow: *random.pick(&[0, 10, 50]),
        undeliverable: *random.pick(&[0, 0, 10, 100]),
        delay: (1, *random.pick(&[1, 5, 50, 500])),
        slow_delay: *random.pick(&[5 * SECOND, 40 * SECOND, 3 * MINUTE]),
    }
}

pub fn pools(random: &mut Random, seed: u64, many: u64) -> Vec<PoolPlan> {
    // From numbers of its own, so that seeds stay what they are.
    let mut moods = Random::apart(seed, 7);
    (0..many).map(|_| pool(random, &mut moods)).collect()
}

fn pool(random: &mut Random, moods: &mut Random) -> PoolPlan {
    let slots = random.within(1, 4) as usize;
    PoolPlan {
        slots,
        ahead: *random.pick(&[0, 1, slots]),
        stay: random.chance(500),
        asks_heartbeats: random.chance(200),
        patience_ms: *random.pick(&[3 * SECOND, 10 * SECOND, 10 * SECOND]),
        gives_back: *moods.pick(&[0, 0, 50, 200]),
        pauses: *moods.pick(&[0, 0, 10, 50]),
    }
}

pub fn a_loop(random: &mut Random) -> LoopPlan {
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
