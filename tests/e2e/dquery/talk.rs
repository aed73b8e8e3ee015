//! Several dquery at one terminal: what one of them prints is not torn by the others.

use e2e::{Hub, Space, Writes};

#[test]
fn a_table_is_one_write() {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..10).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    hub.query(&["cancel", "t0"]).ok();
    for verb in [&["list"][..], &["list", "--json"], &["show", "t0"], &["status"]] {
        let writes = Writes::new();
        let status = hub.command("dquery").args(verb).stdout(writes.end()).status();
        assert!(status.expect("dquery").success());
        let printed = writes.read();
        assert!(printed.len() == 1 && printed[0].ends_with('\n'), "{verb:?}: {printed:#?}");
    }
}

#[test]
fn a_failure_and_its_advice_are_one_write() {
    let space = Space::new();
    let writes = Writes::new();
    let args = ["--insecure", "-s", "tcp://127.0.0.1:9", "--timeout", "100ms", "status"];
    let status = space.command("dquery").args(args).stderr(writes.end()).status();
    assert_eq!(status.expect("dquery").code(), Some(7));
    let said = writes.read();
    assert!(said.len() == 1 && said[0].starts_with("dquery: no hub answers"), "{said:#?}");
    assert!(said[0].contains("\n  start one with: ") && said[0].ends_with('\n'), "{said:#?}");
}
