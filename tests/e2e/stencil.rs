//! A stencil: task (t, i) needs (t-1, i-1), (t-1, i) and (t-1, i+1). Many tasks, most of them
//! with three dependencies; each runs once and after those, whatever happens to the hub.
//!
//! STENCIL_TASKS is the number of tasks.

use e2e::{Hub, Log, Process, check_order, eventually};

type Tasks = Vec<(String, Vec<String>)>;

fn size() -> usize {
    match std::env::var("STENCIL_TASKS") {
        Ok(text) => text.parse().expect("STENCIL_TASKS is a number"),
        Err(_) => 2_000,
    }
}

/// About as many steps as cells.
fn stencil(tasks: usize) -> Tasks {
    let width = tasks.isqrt().max(1);
    let name = |t: usize, i: usize| format!("t{t}-{i}");
    let needs = |t: usize, i: usize| -> Vec<String> {
        let Some(before) = t.checked_sub(1) else { return Vec::new() };
        (i.saturating_sub(1)..=(i + 1).min(width - 1)).map(|i| name(before, i)).collect()
    };
    (0..tasks).map(|n| (n / width, n % width)).map(|(t, i)| (name(t, i), needs(t, i))).collect()
}

/// Adds the stencil and starts two pools that write each name to the log.
fn start(hub: &Hub, tasks: &Tasks) -> [Process; 2] {
    let line = |(name, needs): &(String, Vec<String>)| format!("{name},{}\n", needs.join(","));
    // Half of it the wrong way round.
    let (first, second) = tasks.split_at(tasks.len() / 2);
    let text: String = second.iter().rev().chain(first).map(line).collect();
    hub.write("tasks.txt", text);
    hub.query(&["addfile", "tasks.txt"]).ok();
    [(); 2].map(|()| hub.worker(&["-j", "4", "--until-done", "--shell", "echo {} >>log"]))
}

fn await_end(pool: &mut Process, log: &Log) {
    let mut before = usize::MAX;
    // As long as there is progress, any size may take its time.
    while pool.is_running() {
        eventually("progress", || {
            let now = log.len();
            (now != before || !pool.is_running()).then(|| before = now)
        });
    }
}

fn finish(hub: &Hub, pools: [Process; 2], log: &Log, tasks: &Tasks) {
    for mut pool in pools {
        await_end(&mut pool, log);
        pool.end().exits(0);
    }
    assert_eq!(hub.count("done") as usize, tasks.len());
    check_order(log, tasks, 1);
}

#[test]
fn a_stencil_runs_in_order() {
    let hub = Hub::start();
    let tasks = stencil(size());
    let pools = start(&hub, &tasks);
    finish(&hub, pools, &Log::new(hub.path("log")), &tasks);
}

#[test]
fn a_stencil_runs_in_order_while_the_hub_is_killed() {
    const KILLS: usize = 5;
    let mut hub = Hub::start();
    let tasks = stencil(size() / 2);
    let pools = start(&hub, &tasks);
    let log = Log::new(hub.path("log"));
    for kill in 1..=KILLS {
        let many = tasks.len() * kill / (KILLS + 1);
        eventually("tasks to run", || (log.len() >= many).then_some(()));
        hub.restart();
    }
    finish(&hub, pools, &log, &tasks);
}
