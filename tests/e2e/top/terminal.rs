//! The terminal: taken, and given back whatever happens.

use e2e::{Hub, Terminal};
use rustix::process::Signal;

fn top(hub: &Hub, columns: u16, lines: u16) -> Terminal {
    let mut command = hub.command("dquery");
    command.arg("top");
    Terminal::start(&command, columns, lines)
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let hub = Hub::start();
    hub.query(&["top"]).exits(2).says(&["top needs a terminal; use dquery status --watch"]);
    hub.query(&["top", "--json"]).exits(2).says(&["use dquery status --json"]);
}

#[test]
fn without_a_hub_the_terminal_is_not_taken() {
    let mut hub = Hub::start();
    hub.terminate();
    let mut command = hub.command("dquery");
    command.args(["--timeout", "300ms", "top"]);
    let mut screen = Terminal::start(&command, 80, 24);
    assert_eq!(screen.end(), 7);
    screen.shows("no hub answers at");
    screen.is_tidy();
}

#[test]
fn it_leaves_the_terminal_as_it_was() {
    let (hub, _pool) = super::varied();
    let ctrl_c = "\x03";
    for keys in ["q", ctrl_c, "?q", "/x\x03"] {
        let mut screen = top(&hub, 80, 24);
        screen.shows("quick-00");
        assert!(screen.has_alternate_screen() && screen.hides_cursor() && !screen.echoes());
        screen.type_keys(keys);
        assert_eq!(screen.end(), 0, "{keys:?}");
        screen.is_tidy();
        assert_eq!(screen.text().trim(), "", "nothing of it stays");
    }
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut screen = top(&hub, 80, 24);
        screen.shows("quick-00");
        screen.signal(signal);
        assert_eq!(screen.end(), -signal.as_raw(), "the shell should see the signal");
        screen.is_tidy();
    }
}

#[test]
fn it_stops_and_goes_on_as_other_programs_do() {
    let (hub, _pool) = super::varied();
    for key in [true, false] {
        let mut screen = top(&hub, 80, 24);
        screen.shows("quick-00");
        match key {
            true => screen.type_keys("\x1a"),
            false => screen.signal(Signal::TSTP),
        }
        e2e::eventually("a stop", || (screen.process_state() == 'T').then_some(()));
        screen.is_tidy();
        screen.signal(Signal::CONT);
        screen.shows("quick-00");
        assert!(screen.has_alternate_screen() && !screen.echoes());
        screen.type_keys("2");
        screen.shows("WORKER");
        screen.type_keys("q");
        assert_eq!(screen.end(), 0);
        screen.is_tidy();
    }
}

#[test]
fn it_outlives_its_hub_and_takes_keys_meanwhile() {
    let (mut hub, _pool) = super::varied();
    let mut screen = top(&hub, 80, 24);
    screen.shows("quick-00");
    hub.kill9();
    screen.shows("no answer for");
    screen.type_keys("2");
    screen.shows("WORKER");
    screen.type_keys("?");
    screen.shows("quit; the run goes on");
    screen.type_keys("?1");
    hub.restart();
    screen.becomes("no silence any more", |text| {
        text.contains("quick-00") && !text.contains("no answer")
    });
    // What is on the screen is of the new hub.
    hub.query(&["cancel", "slow"]).ok();
    screen.shows("cancelled 1");
    screen.type_keys("q");
    assert_eq!(screen.end(), 0);
    screen.is_tidy();
}

#[test]
fn it_leaves_at_once_while_its_hub_hangs() {
    let (mut hub, _pool) = super::varied();
    let mut screen = top(&hub, 80, 24);
    screen.shows("quick-00");
    hub.signal(Signal::STOP);
    screen.shows("no answer for");
    screen.type_keys("fr\r/x\r");
    screen.shows("only x running");
    screen.type_keys("q");
    assert_eq!(screen.end(), 0);
    screen.is_tidy();
    hub.signal(Signal::CONT);
}

#[test]
fn keys_come_from_the_terminal_when_standard_input_is_none() {
    let (hub, _pool) = super::varied();
    let mut command = hub.command("sh");
    command.args(["-c", "echo q | dquery top"]);
    let mut screen = Terminal::start(&command, 80, 24);
    screen.shows("quick-00");
    screen.type_keys("2");
    screen.shows("WORKER");
    screen.type_keys("q");
    assert_eq!(screen.end(), 0);
    screen.is_tidy();
}

#[test]
fn colours_are_there_unless_somebody_wants_none() {
    let (hub, _pool) = super::varied();
    let screen = top(&hub, 80, 24);
    screen.shows("failed");
    assert!(screen.has_colours());
    for script in ["NO_COLOR=1 exec dquery top", "exec dquery --color never top"] {
        let mut command = hub.command("sh");
        command.args(["-c", script]);
        let mut screen = Terminal::start(&command, 80, 24);
        screen.shows("quick-00");
        screen.type_keys("ff");
        screen.becomes("the failed", |text| text.contains("\nbad") && !text.contains("quick"));
        screen.type_keys("\r");
        screen.shows("attempt 1 wrote");
        assert!(!screen.has_colours(), "{script}");
    }
}

#[test]
fn names_and_outputs_steer_no_terminal() {
    let hub = Hub::start();
    let name = "evil\x1b[2J\x1b]0;title\x07 数据";
    hub.query(&["create", name, "--command", "printf 'a\\033[2Jb\\007\\rc'; exit 3"]).ok();
    hub.worker(&["--until-done"]).end().exits(1);
    let mut screen = top(&hub, 80, 24);
    screen.shows(r"evil\u{1b}[2");
    screen.shows("数据");
    // The row, which comes after the line about failures has the name.
    screen.shows(r"itle\u{7} 数据  failed");
    screen.type_keys("\r");
    screen.shows(r"| a\u{1b}[2Jb\u{7}\rc");
    screen.type_keys("r");
    screen.shows(r"retry 'evil\u{1b}[2");
    assert!(screen.text().starts_with("run.db"));
}

#[test]
fn no_size_is_too_small() {
    let (hub, _pool) = super::varied();
    let mut screen = top(&hub, 80, 24);
    screen.shows("quick-00");
    for (columns, lines) in [(40, 10), (10, 3), (2, 2), (1, 1), (300, 80)] {
        screen.resize(columns, lines);
        screen.type_keys("j2??1G");
    }
    screen.becomes("all tasks", |text| text.contains("quick-00") && text.contains("after"));
    screen.type_keys("\r");
    screen.shows("waits for   slow");
    screen.type_keys("q");
    assert_eq!(screen.end(), 0);
    screen.is_tidy();
}
