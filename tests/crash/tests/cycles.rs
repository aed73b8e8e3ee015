//! The hub is killed thirty times; and the checker sees what it is there to see.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crash::{File, Journal, Kind, Options, check_file, run};
use rusqlite::Connection;

static NEVER: AtomicBool = AtomicBool::new(false);

#[test]
fn thirty_kills_lose_change_and_repeat_nothing() {
    let options = Options { seed: 30, check_every: 10, ..Options::default() };
    let (report, _, _hub) = run(&options, &NEVER);
    let faults = &report.faults;
    assert!(faults.is_empty(), "{report}\n{faults:#?}\n{}", report.dir.display());
    let totals = report.totals;
    assert!(report.cycles >= 30 && report.repeats > 0, "{report}");
    assert!(totals.done > 1000 && totals.failed > 0 && totals.cancelled > 0, "{report}");
    assert!(totals.ran > 0, "{report}");
}

#[test]
fn a_file_that_forgets_is_noticed_in_the_same_cycle() {
    let options = Options { cycles: 20, seed: 4, forget_in: Some(5), ..Options::default() };
    let (report, _, mut hub) = run(&options, &NEVER);
    hub.space.keep(false);
    assert_eq!(report.cycles, 5, "{report}");
    assert!(report.count(Kind::Lost) + report.count(Kind::Changed) > 0, "{report}");
}

/// What is done to the file of a run that was fine, and how the checker calls it.
const FALSIFIED: [(&str, Kind); 11] = [
    ("DELETE FROM tasks WHERE id = 1", Kind::Lost),
    ("UPDATE tasks SET state = 1 WHERE id = 1", Kind::Lost),
    ("UPDATE tasks SET state = 6 WHERE id = (SELECT id FROM tasks WHERE state = 5)", Kind::Changed),
    ("UPDATE tasks SET attempt = attempt + 1 WHERE state = 5", Kind::Changed),
    ("UPDATE tasks SET attempt = 0 WHERE state = 5", Kind::Lost),
    ("UPDATE tasks SET needs = NULL WHERE needs IS NOT NULL", Kind::Changed),
    ("UPDATE attempts SET outcome = 2 WHERE outcome = 1", Kind::Changed),
    ("DELETE FROM attempts WHERE outcome = 2", Kind::Lost),
    (
        "INSERT INTO attempts SELECT task, attempt + 1, worker, started_ms, run_ms, 1, 0, NULL, NULL, NULL, 0
            FROM attempts WHERE outcome = 1 ORDER BY task LIMIT 1",
        Kind::Repeated,
    ),
    (
        "UPDATE tasks SET state = 2 WHERE id = (SELECT needs_task FROM dependencies d
            JOIN tasks t ON t.id = d.task WHERE t.state = 5 LIMIT 1)",
        Kind::Early,
    ),
    ("UPDATE tasks SET state = 2 WHERE id = 1", Kind::Wrong),
];

#[test]
fn a_falsified_file_is_seen() {
    let options = Options { cycles: 3, seed: 5, ..Options::default() };
    let (report, journal, hub) = run(&options, &NEVER);
    assert!(report.faults.is_empty(), "{report}\n{:#?}", report.faults);
    let (log, copy) = (hub.path("log"), hub.path("false.db"));
    assert!(kinds(&journal, &hub.path("run.db"), &log).is_empty());
    for (sql, kind) in FALSIFIED {
        std::fs::copy(hub.path("run.db"), &copy).unwrap();
        let changed = Connection::open(&copy).unwrap().execute(sql, []).unwrap();
        assert!(changed > 0, "{sql}");
        let found = kinds(&journal, &copy, &log);
        assert!(found.contains(&kind), "{sql}: {found:?}");
    }
    // A pool that ran what the hub does not know of.
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text + "a1 77\n").unwrap();
    assert_eq!(kinds(&journal, &hub.path("run.db"), &log), HashSet::from([Kind::Lost]));
}

fn kinds(journal: &Journal, db: &Path, log: &Path) -> HashSet<Kind> {
    let faults = check_file(&File { db, log, finished: true }, journal).unwrap();
    faults.into_iter().map(|fault| fault.kind).collect()
}
