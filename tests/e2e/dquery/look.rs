//! status, list, show: tables for people, JSON for scripts.

use e2e::{Hub, eventually};

/// done, failed (with a skipped child), running, ready, and one that waits for nobody's name.
fn varied() -> Hub {
    let hub = Hub::start();
    for name in ["good", "bad", "busy"] {
        hub.query(&["create", name]).ok();
    }
    hub.query(&["create", "child", "bad", "--command", "./merge out/12.*"]).ok();
    hub.query(&["steal", "-q", "-n", "3"]).ok();
    hub.query(&["complete", "good"]).ok();
    hub.query(&["fail", "bad", "--exit-code", "137"]).ok();
    hub.query(&["create", "next"]).ok();
    hub.query(&["create", "late", "nobody"]).ok();
    hub
}

#[test]
fn status_answers_on_one_screen() {
    let hub = varied();
    let output = hub.query(&["status"]);
    let counts = ["done 1", "failed 1", "skipped 1", "running 1", "ready 1", "waiting 1"];
    output.exits(0).prints(&counts).prints(&["run.db", "137", "bad", "nobody", "3 of 6"]);
    assert!(!output.stdout.contains('\x1b'), "no colours without a terminal");
    assert_eq!(output.stderr, "");
}

#[test]
fn status_as_json() {
    let status = varied().query(&["status", "--json"]).json();
    let counts = &status["counts"];
    for state in ["done", "failed", "skipped", "running", "ready", "waiting", "missing"] {
        assert_eq!(counts[state], 1, "{state}");
    }
    assert_eq!((&status["phase"], &status["missing"][0]), (&"active".into(), &"nobody".into()));
    assert_eq!(status["workers_total"], 1);
    assert_eq!(status["slowest"]["name"], "busy");
    assert_eq!(status["hub"]["insecure"], true);
}

#[test]
fn status_tells_the_size_of_the_file_with_its_log() {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..5_000).map(|n| format!("task-{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    eventually("the rows of 5,000 tasks on disk", || {
        let status = hub.query(&["status", "--json"]).json();
        (status["hub"]["file_bytes"].as_u64()? > 5_000 * 20).then_some(())
    });
}

#[test]
fn status_of_an_empty_hub_says_what_to_do() {
    Hub::start().query(&["status"]).exits(0).prints(&["no task was added yet", "dquery addfile"]);
}

#[test]
fn list_narrows_by_state_and_name() {
    let hub = varied();
    let names = |args: &[&str]| -> Vec<String> {
        let output = hub.query(&[&["list", "--json"], args].concat());
        output.exits(0);
        let name = |it: &serde_json::Value| it["name"].as_str().unwrap().to_owned();
        output.json_lines().iter().map(name).collect()
    };
    assert_eq!(names(&["--failed"]), ["bad"]);
    assert_eq!(names(&["--state", "running,ready"]), ["busy", "next"]);
    assert_eq!(names(&["--all"]).len(), 6);
    let mut two = names(&["late", "good"]);
    two.sort();
    assert_eq!(two, ["good", "late"]);
    assert_eq!(names(&["late", "good", "--state", "done"]), ["good"]);
    hub.query(&["list", "good", "nosuch"]).exits(6).prints(&["good"]).says(&["nosuch"]);
    hub.query(&["list", "-n", "2"]).exits(0).says(&["first 2 only"]);
    hub.query(&["list", "--state", "sleeping"]).exits(2).says(&["sleeping", "running"]);
}

#[test]
fn list_gets_all_pages() {
    let hub = Hub::start();
    hub.write("tasks.txt", (0..9_012).map(|n| format!("t{n}\n")).collect::<String>());
    hub.query(&["addfile", "tasks.txt"]).ok();
    let all = hub.query(&["list", "--all", "--json"]).json_lines();
    let names: Vec<_> = all.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, (0..9_012).map(|n| format!("t{n}")).collect::<Vec<_>>());
    // Of names too, however many are asked for.
    let named: Vec<String> = (0..4_100).map(|n| format!("t{n}")).collect();
    let args: Vec<&str> =
        ["list", "--json"].into_iter().chain(named.iter().map(|name| &**name)).collect();
    assert_eq!(hub.query(&args).json_lines().len(), 4_100);
    // And of those that a file takes for granted.
    let lines = (0..4_100).map(|n| format!("u{n},t{n}\n")).collect::<String>();
    hub.write("more.txt", lines + "v,t4099,nowhere\n");
    hub.query(&["addfile", "more.txt"]).exits(8).says(&["more.txt:4101: ", "nowhere"]);
}

#[test]
fn show_answers_why_a_task_does_not_run() {
    let hub = varied();
    let output = hub.query(&["show", "child"]);
    output.exits(0).prints(&["child", "skipped", "bad", "failed", "137", "./merge out/12.*"]);
    hub.query(&["show", "late"]).exits(0).prints(&["waiting", "nobody", "nobody added it"]);
    hub.query(&["show", "bad"]).exits(0).prints(&["failed", "needed by", "child"]);
}

#[test]
fn show_as_json() {
    let hub = varied();
    let shown = hub.show("bad");
    assert_eq!(shown["task"]["state"], "failed");
    assert_eq!(shown["needed_by"][0]["name"], "child");
    assert_eq!(shown["attempts"][0]["outcome"], "failed");
    assert_eq!(shown["attempts"][0]["worker"], dhub_proto::host_name());
    assert_eq!(hub.show("child")["needs"][0]["name"], "bad");
}

#[test]
fn names_cannot_play_with_the_terminal() {
    let hub = Hub::start();
    hub.query(&["create", "evil\x1b[2J\nname"]).ok();
    let output = hub.query(&["list"]);
    assert!(!output.ok().contains('\x1b'), "{output:?}");
    let output = hub.query(&["show", "evil\x1b[2J\nname"]);
    assert!(!output.ok().contains('\x1b'), "{output:?}");
}
