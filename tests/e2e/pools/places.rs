//! More pools than a hub has places for: they take turns, whatever it is killed for.

use e2e::{Hub, Log, Process, eventually};

/// The least that a hub starts with: places for a few workers.
const FILES: u64 = 64;
const POOLS: usize = 30;
const TASKS: usize = 100;
const KILLS: usize = 3;
const FULL: &str = "no room for more connections";

/// Nearly all tasks are short, so that pools come and go; some run when the hub is killed.
const SCRIPT: &str = "case {} in long*) sleep 4;; *) sleep 0.3;; esac; echo {} >>log";

#[test]
fn pools_that_have_no_room_take_turns_and_nothing_runs_twice() {
    let mut hub = Hub::with_few_files(FILES, &["--worker-timeout", "8s"]);
    let names = (0..TASKS).map(|n| if n % 20 == 0 { format!("long{n}") } else { format!("t{n}") });
    let mut names: Vec<String> = names.collect();
    names.sort();
    hub.write("tasks.txt", names.join("\n"));
    hub.query(&["addfile", "tasks.txt"]).ok();
    let args = ["-j", "1", "--until-done", "--shell", SCRIPT];
    let pools: Vec<Process> = (0..POOLS).map(|_| hub.worker(&args)).collect();
    let log = Log::new(hub.path("log"));
    let mut said = Vec::new();
    for kill in 1..=KILLS {
        let enough = TASKS * kill / (KILLS + 2);
        let mut ran = 0;
        while ran < enough {
            ran = eventually("more tasks to run", || Some(log.len()).filter(|&now| now > ran));
        }
        said.push(hub.stderr());
        hub.restart();
    }
    let mut ran = log.len();
    while ran < TASKS {
        // As long as there is progress, it may take its time.
        ran = eventually("more tasks to run", || Some(log.len()).filter(|&now| now > ran));
    }
    for pool in pools {
        pool.end().exits(0);
    }
    assert_eq!(log.sorted(), names, "something ran twice");
    for said in said {
        assert_eq!(said.matches(FULL).count(), 1, "{said}");
        assert!(said.contains("ulimit -Hn"), "{said}");
    }
    let counts = hub.native().counts();
    assert_eq!((counts.done, counts.failed), (TASKS as u64, 0));
}
