//! What is done to both, at random.

use std::collections::BTreeSet;

use dhub::engine::message::Verdict;
use proptest::prelude::*;

use crate::{NAMES, WORKERS};

/// What a task of this name is, if nobody says otherwise.
#[derive(Clone, Debug)]
pub struct Definition {
    pub needs: BTreeSet<usize>,
    pub priority: i32,
    pub retries: u32,
}

#[derive(Clone, Debug)]
pub enum Op {
    Create(BTreeSet<usize>),
    /// With a further dependency that its definition does not have.
    CreateOther(usize, usize),
    Merge(usize, BTreeSet<usize>),
    Steal {
        worker: usize,
        n: u32,
        wait: bool,
        stay: bool,
    },
    Repeat {
        worker: usize,
    },
    /// Whose, which of the leases ever given out, and how it ended.
    Outcome {
        worker: usize,
        lease: usize,
        zero: bool,
        verdict: Verdict,
        want: u32,
    },
    /// As before, by the worker that holds it.
    HolderOutcome {
        lease: usize,
        verdict: Verdict,
    },
    Release {
        worker: usize,
        lease: usize,
    },
    Heartbeat {
        worker: usize,
        started: bool,
    },
    Undelivered {
        lease: usize,
    },
    Exit {
        worker: usize,
    },
    Cancel(usize),
    Retry {
        names: Vec<usize>,
        done: bool,
    },
    /// Those that failed or were cancelled, by their place among them.
    RetryDead(Vec<usize>),
    Advance {
        s: u64,
    },
    Pause {
        s: u64,
    },
    /// A worker is lost with what it holds again and again; the others go on, and hold something at the end.
    WearOut {
        worker: usize,
    },
    Commit,
    Restart,
}

pub fn definitions() -> impl Strategy<Value = Vec<Definition>> {
    // Mostly on earlier names; in some cases on later ones too, for cycles.
    prop_oneof![3 => Just(0u32), 1 => Just(1)].prop_flat_map(|cycles| {
        let one = |i: usize| {
            let need = prop_oneof![8 => 0..NAMES.min(i + 1), cycles => 0..NAMES];
            let needs = prop::collection::btree_set(need, 0..4);
            let priority = prop_oneof![3 => Just(0), 1 => -1..3i32];
            let retries = prop_oneof![2 => Just(0u32), 1 => 0..3u32];
            (needs, priority, retries).prop_map(move |(mut needs, priority, retries)| {
                needs.remove(&i);
                Definition { needs, priority, retries }
            })
        };
        (0..NAMES).map(one).collect::<Vec<_>>()
    })
}

pub fn op() -> impl Strategy<Value = Op> {
    let names = || prop::collection::btree_set(0..NAMES, 1..6);
    let (task, worker, lease) = (0..NAMES, 0..WORKERS.len(), 0..64usize);
    let verdict = || prop_oneof![3 => Just(Verdict::Done), 2 => Just(Verdict::Failed)];
    prop_oneof![
        6 => names().prop_map(Op::Create),
        1 => (task.clone(), task.clone()).prop_map(|(a, b)| Op::CreateOther(a, b)),
        1 => (task.clone(), prop::collection::btree_set(0..NAMES, 0..3))
            .prop_map(|(a, needs)| Op::Merge(a, needs)),
        8 => (worker.clone(), 0..4u32, any::<bool>(), any::<bool>())
            .prop_map(|(worker, n, wait, stay)| Op::Steal { worker, n, wait, stay }),
        2 => worker.clone().prop_map(|worker| Op::Repeat { worker }),
        2 => (worker.clone(), lease.clone(), any::<bool>(), verdict(), 0..3u32).prop_map(
            |(worker, lease, zero, verdict, want)| {
                Op::Outcome { worker, lease, zero, verdict, want }
            }
        ),
        8 => (lease.clone(), verdict())
            .prop_map(|(lease, verdict)| Op::HolderOutcome { lease, verdict }),
        1 => (worker.clone(), lease.clone())
            .prop_map(|(worker, lease)| Op::Release { worker, lease }),
        3 => (worker.clone(), any::<bool>())
            .prop_map(|(worker, started)| Op::Heartbeat { worker, started }),
        1 => lease.prop_map(|lease| Op::Undelivered { lease }),
        1 => worker.clone().prop_map(|worker| Op::Exit { worker }),
        2 => task.clone().prop_map(Op::Cancel),
        4 => prop::collection::vec(0..NAMES, 1..3).prop_map(Op::RetryDead),
        1 => (prop::collection::vec(0..NAMES, 1..3), prop::bool::weighted(0.2))
            .prop_map(|(names, done)| Op::Retry { names, done }),
        3 => (1..45u64).prop_map(|s| Op::Advance { s }),
        1 => (3..100u64).prop_map(|s| Op::Pause { s }),
        2 => worker.prop_map(|worker| Op::WearOut { worker }),
        4 => Just(Op::Commit),
        1 => Just(Op::Restart),
    ]
}
