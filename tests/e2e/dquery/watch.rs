//! status --watch: a screen repainted in place, or a line for each change.

use e2e::{Hub, Terminal, eventually};
use rustix::process::Signal;

const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

fn with_tasks(count: usize) -> Hub {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..count).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    hub
}

fn watch(hub: &Hub, columns: u16, lines: u16) -> Terminal {
    let mut command = hub.command("dquery");
    command.args(["--timeout", "1s", "status", "--watch=0.2"]);
    Terminal::start(&command, columns, lines)
}

fn done(hub: &Hub, count: usize) {
    for _ in 0..count {
        hub.sh("dquery complete $(dquery steal -q)").ok();
    }
}

#[test]
fn a_screen_is_repainted_and_left_tidy() {
    let hub = with_tasks(4);
    let mut screen = watch(&hub, 80, 24);
    screen.shows("0.0 %   0 of 4");
    assert!(screen.has_alternate_screen() && screen.hides_cursor() && !screen.echoes());
    assert!(screen.has_styles());
    done(&hub, 1);
    let text = screen.shows("25.0 %   1 of 4");
    assert_eq!(text.matches("of 4").count(), 1, "in place: {text}");
    screen.type_keys("what is typed is not shown");
    done(&hub, 1);
    assert!(!screen.shows("50.0 %   2 of 4").contains("typed"));
    screen.type_keys(CTRL_C);
    assert_eq!(screen.end(), -2, "by the signal");
    let text = screen.shows("50.0 %   2 of 4");
    assert_eq!(text.matches("of 4").count(), 1, "{text}");
    screen.is_tidy();
    hub.query(&["status"]).ok();
}

#[test]
fn a_window_may_change_its_size() {
    let hub = with_tasks(3);
    for name in ["w1", "w2", "w3", "w4", "w5", "w6"] {
        hub.query(&["steal", "-q", "--worker", name]);
    }
    let mut screen = watch(&hub, 80, 24);
    screen.shows("w6");
    screen.resize(44, 5);
    let text = screen.becomes("5 lines", |text| text.contains("more lines, for a higher"));
    assert!(text.lines().count() <= 5, "{text}");
    assert!(text.starts_with("run.db"), "the first line is there: {text}");
    screen.resize(100, 30);
    screen.shows("w6");
    screen.type_keys("q");
    assert_eq!(screen.end(), 0);
    screen.is_tidy();
}

#[test]
fn a_hub_that_goes_away_is_said_and_waited_for() {
    let mut hub = with_tasks(2);
    let mut screen = watch(&hub, 80, 24);
    screen.shows("0 of 2");
    hub.kill9();
    let text = screen.shows("no answer from the hub for");
    assert!(text.contains("0 of 2"), "what was known stays: {text}");
    hub.restart();
    screen.becomes("an answer", |text| text.contains("0 of 2") && !text.contains("no answer"));
    hub.kill9();
    screen.shows("no answer from the hub for");
    // Also while it waits for an answer.
    screen.type_keys(CTRL_C);
    assert_eq!(screen.end(), -2);
    screen.is_tidy();
}

#[test]
fn a_stop_gives_the_terminal_back() {
    let hub = with_tasks(2);
    let mut screen = watch(&hub, 80, 24);
    screen.shows("0 of 2");
    screen.type_keys(CTRL_Z);
    eventually("a stopped watch", || (screen.process_state() == 'T').then_some(()));
    screen.is_tidy();
    screen.signal(Signal::CONT);
    eventually("its own screen", || screen.has_alternate_screen().then_some(()));
    done(&hub, 1);
    screen.shows("1 of 2");
    screen.signal(Signal::TERM);
    assert_eq!(screen.end(), -15);
    screen.is_tidy();
}

#[test]
fn without_a_terminal_each_change_is_a_line() {
    let mut hub = with_tasks(2);
    let mut watch = hub.query_process(&["--timeout", "1s", "status", "--watch=100ms"]);
    let has = |watch: &mut e2e::Process, text: &str| {
        eventually(text, || watch.stdout().contains(text).then_some(()));
    };
    has(&mut watch, "0/2  2 ready\n");
    done(&hub, 1);
    has(&mut watch, "1/2  1 ready");
    hub.kill9();
    watch.hear("the hub is silent since");
    hub.restart();
    watch.hear("the hub is back after");
    done(&hub, 1);
    has(&mut watch, "2/2  all done\n");
    assert!(!watch.stdout().contains('\x1b'));
    assert!(watch.stdout().lines().count() < 20, "only changes: {}", watch.stdout());
    let mut json = hub.query_process(&["status", "--watch", "--json"]);
    eventually("a line of JSON", || json.stdout().ends_with('\n').then_some(()));
    let line: serde_json::Value = serde_json::from_str(json.stdout().trim()).expect("one document");
    assert_eq!(line["counts"]["done"], 2);
    assert!(json.is_running());
}

#[test]
fn a_hub_that_is_not_there_is_an_error() {
    let mut hub = with_tasks(1);
    hub.kill9();
    let output = hub.query(&["--timeout", "300ms", "status", "--watch"]);
    output.exits(7).is_one_message().says(&["no hub answers"]);
}
