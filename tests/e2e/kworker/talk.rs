//! Pools that say something at the same terminal at the same time.

use std::process::Child;

use e2e::{Hub, Space, Writes};

/// Everything the two said, as it was written.
fn said(pools: [Child; 2], writes: Writes) -> Vec<String> {
    let said = writes.read();
    for mut pool in pools {
        pool.wait().expect("a child");
    }
    said
}

#[test]
fn each_line_of_two_pools_is_one_write() {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..10).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    let writes = Writes::new();
    let pools = ["one", "two"].map(|name| {
        let mut command = hub.command("kworker");
        command.args(["--name", name, "--until-done", "--", "true"]).stderr(writes.end());
        command.spawn().expect("kworker")
    });
    let said = said(pools, writes);
    for name in ["one", "two"] {
        let start = format!("kworker {name} · ");
        let lines = said.iter().filter(|line| line.starts_with(&start));
        assert!(lines.count() >= 2, "a greeting and a farewell: {said:#?}");
    }
    let whole = |line: &String| line.ends_with('\n') && line.matches('\n').count() == 1;
    assert!(said.iter().all(|line| line.starts_with("kworker ") && whole(line)), "{said:#?}");
}

#[test]
fn a_failure_and_its_advice_are_one_write() {
    let space = Space::new();
    let writes = Writes::new();
    let pools = ["one", "two"].map(|name| {
        let mut command = space.command("kworker");
        command.args([
            "--insecure",
            "-s",
            "tcp://127.0.0.1:9",
            "--timeout",
            "100ms",
            "--name",
            name,
        ]);
        command.args(["--", "true"]).stderr(writes.end()).spawn().expect("kworker")
    });
    let said = said(pools, writes);
    assert_eq!(said.len(), 2, "{said:#?}");
    for text in &said {
        assert!(text.starts_with("kworker: ") && text.ends_with("--wait-for-hub\n"), "{text}");
    }
}
