//! What keys do at a real hub.

use dhub_proto::wire::{Steal, Worker};
use e2e::{Hub, Terminal, eventually};

#[test]
fn any_part_of_many_tasks_can_be_seen() {
    let hub = Hub::start();
    hub.write("tasks.txt", (1..=30_000).map(|n| format!("t{n:05}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    let mut command = hub.command("dquery");
    command.arg("top");
    let mut screen = Terminal::start(&command, 80, 24);
    screen.shows("1 Tasks 30,000");
    screen.shows("t00001");
    let (end, home, page_down, page_up) = ("\x1b[F", "\x1b[H", "\x1b[6~", "\x1b[5~");
    screen.type_keys(end);
    screen.becomes("the end", |text| text.contains("t30000") && text.contains("t29989"));
    // A screen has 12 tasks, and one of them stays.
    screen.type_keys(&page_up.repeat(2));
    screen.becomes("two pages up", |text| text.contains("t29978") && !text.contains("t30000"));
    screen.type_keys(home);
    screen.shows("t00001");
    screen.type_keys(page_down);
    screen.becomes("a page down", |text| text.contains("t00023") && !text.contains("t00001"));
    // Held down.
    for _ in 0..40 {
        screen.type_keys(page_down);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    screen.becomes("many pages down", |text| !text.contains("t000") && text.contains("t00"));
    screen.type_keys("g");
    screen.shows("t00001");
    screen.type_keys("jjj\r");
    screen.shows("t00004   ready");
}

#[test]
fn more_workers_than_a_status_tells_are_all_there() {
    let hub = Hub::start();
    let native = hub.native();
    for n in 0..1_100 {
        let worker = Worker { name: format!("w{n:04}"), ..Worker::default() };
        native.steal(Steal { worker: Some(worker), n: 1, ..Steal::default() });
    }
    let mut command = hub.command("dquery");
    command.arg("top");
    let mut screen = Terminal::start(&command, 80, 24);
    screen.shows("2 Workers 1,100");
    screen.type_keys("2");
    screen.shows("w0000");
    // Until the page with all of them is there, the end is that of the first thousand.
    eventually("the last one", || {
        screen.type_keys("G");
        screen.text().contains("w1099").then_some(())
    });
    screen.type_keys("g");
    screen.shows("w0000");
}

#[test]
fn a_worker_is_drained_after_a_yes() {
    let (hub, mut pool) = super::varied();
    let mut command = hub.command("dquery");
    command.arg("top");
    let mut screen = Terminal::start(&command, 100, 24);
    screen.shows("quick-00");
    screen.type_keys("2");
    screen.shows("alive");
    screen.type_keys("d");
    screen.shows("it finishes what runs, gives the rest back, leaves");
    screen.type_keys("y");
    screen.shows("is told to drain");
    screen.shows("draining");
    // The slow task may end; then the pool leaves.
    hub.query(&["cancel", "slow"]).ok();
    eventually("the end of the pool", || (!pool.is_running()).then_some(()));
}

#[test]
fn tasks_are_held_and_reordered() {
    let (hub, _pool) = super::varied();
    let mut command = hub.command("dquery");
    command.arg("top");
    let mut screen = Terminal::start(&command, 100, 24);
    screen.shows("quick-00");
    screen.type_keys("/after\r");
    screen.becomes("one task", |text| has_row(text, "after") && !text.contains("quick-00"));
    screen.type_keys("h");
    screen.shows("hold 'after'?");
    screen.type_keys("y");
    screen.shows("'after' is held");
    screen.shows("(held 1)");
    screen.type_keys("p\x7f7\r");
    screen.shows("'after' has priority 7");
    let task = &hub.show("after")["task"];
    assert_eq!((&task["held"], &task["priority"]), (&true.into(), &7.into()));
    screen.type_keys("h");
    screen.shows("unhold 'after'?");
    screen.type_keys("y");
    screen.shows("'after' is held no more");
    assert_eq!(hub.show("after")["task"]["held"], false);
    // The tasks of a worker.
    screen.type_keys("2");
    screen.shows("alive");
    screen.type_keys("\r");
    screen.becomes("its tasks", |text| text.contains("only on ") && text.contains("quick-00"));
    assert!(!screen.text().contains("after"), "nobody has run it");
}

#[test]
fn a_failed_task_is_tried_again() {
    let (hub, _pool) = super::varied();
    let mut command = hub.command("dquery");
    command.arg("top");
    let mut screen = Terminal::start(&command, 80, 24);
    screen.shows("quick-00");
    screen.type_keys("ff");
    screen.becomes("the failed one alone", |text| {
        text.contains("only failed") && has_row(text, "bad") && !text.contains("quick")
    });
    hub.write("run.sh", "exit 0\n");
    screen.type_keys("r");
    screen.shows("retry 'bad'?");
    screen.type_keys("y");
    screen.shows("'bad' runs again");
    screen.shows("no such task");
    assert_eq!(hub.state("bad"), "done");
}

/// Names are said elsewhere, too: in the filter, among the failures.
fn has_row(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.starts_with(&format!("{name} ")))
}
