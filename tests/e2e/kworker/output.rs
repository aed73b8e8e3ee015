//! Where the output of tasks goes.

use std::fs;

use e2e::{Hub, eventually};

fn run(hub: &Hub, args: &[&str]) -> e2e::Output {
    hub.worker(&[&["-j", "2", "--until-done"], args].concat()).end()
}

fn read(hub: &Hub, path: &str) -> String {
    fs::read_to_string(hub.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn a_word_in_braces_that_means_nothing_is_refused() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    for word in ["{index}", "{}"] {
        let place = format!("out/{word}.txt");
        let pool = hub.worker(&["--output", &place, "--until-done", "--shell", "echo"]);
        let known = format!(
            "{word} is no placeholder; they are {{name}}, {{attempt}}, {{worker}}, {{host}}"
        );
        pool.end().exits(2).says(&[&known]);
    }
    assert!(!hub.path("out").exists());
    assert_eq!(hub.state("a"), "ready");
}

#[test]
fn each_attempt_has_a_file_and_the_hub_has_its_end() {
    let hub = Hub::start();
    hub.query(&["create", "a/b", "--retries", "1"]).ok();
    hub.query(&["create", "..", "--command", "echo dots"]).ok();
    let script = "case {} in ..) echo dots;; *) seq 20000; echo attempt {attempt} >&2; test {attempt} = 2;; esac";
    run(&hub, &["--output", "out", "--shell", script]).exits(0);
    for attempt in ["1", "2"] {
        let text = read(&hub, &format!("out/a%2Fb.{attempt}.out"));
        assert!(
            text.starts_with("1\n2\n") && text.ends_with(&format!("20000\nattempt {attempt}\n"))
        );
    }
    assert_eq!(read(&hub, "out/%2E..1.out"), "dots\n");
    let attempts = hub.show("a/b")["attempts"].clone();
    let output = attempts[1]["output"].as_str().unwrap();
    assert!(output.ends_with("attempt 2\n") && output.len() == 16 * 1024, "{} bytes", output.len());
}

#[test]
fn a_template_says_where_and_nothing_is_overwritten() {
    let hub = Hub::start();
    hub.query(&["create", "a", "--retries", "1"]).ok();
    fs::create_dir(hub.path("logs")).unwrap();
    hub.write("logs/a.txt", "before\n");
    let script = "echo {attempt}; test {attempt} = 2";
    run(&hub, &["--name", "w 1", "--output", "logs/{name}.txt", "--shell", script]).exits(0);
    assert_eq!(read(&hub, "logs/a.txt"), "before\n1\n2\n");
    assert_eq!(hub.show("a")["attempts"][1]["output"], "2\n", "only its own");
    hub.query(&["create", "b"]).ok();
    let template = "deep/{host}/{worker}/{name}.{attempt}";
    run(&hub, &["--name", "w 1", "--output", template, "--shell", "echo b"]).exits(0);
    let hosts: Vec<_> = fs::read_dir(hub.path("deep")).unwrap().flatten().collect();
    assert_eq!(hosts.len(), 1);
    assert_eq!(fs::read_to_string(hosts[0].path().join("w 1/b.1")).unwrap(), "b\n");
}

#[test]
fn none_keeps_nothing() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let script = "echo out; readlink /proc/self/fd/2 >where";
    run(&hub, &["--output", "none", "--shell", script]).exits(0);
    assert_eq!(
        read(&hub, "where"),
        "/dev/null
"
    );
    assert_eq!(hub.show("a")["attempts"][0]["output"], "");
}

#[test]
fn much_output_takes_no_memory() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let script = "head -c 1073741824 /dev/zero; echo end; touch written; while test -e run.db && ! test -e gate; do sleep 0.02; done";
    let peak = |pool: &e2e::Process| {
        let pid = pool.pool().as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<u64>().unwrap()
    };
    let pool = hub.worker(&["-j", "1", "--until-done", "--output", "out", "--shell", script]);
    eventually("a gigabyte", || hub.path("written").exists().then_some(()));
    assert!(peak(&pool) < 100 * 1024, "{} KiB", peak(&pool));
    hub.write("gate", "");
    pool.end().exits(0);
    assert_eq!(fs::metadata(hub.path("out/a.1.out")).unwrap().len(), 1_073_741_824 + 4);
    fs::remove_file(hub.path("out/a.1.out")).unwrap();
    assert!(hub.show("a")["attempts"][0]["output"].as_str().unwrap().ends_with("end\n"));
}

#[test]
fn a_file_that_cannot_be_opened_is_no_fault_of_the_task() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    hub.query(&["create", "b"]).ok();
    hub.write("file", "no directory");
    let mut pool =
        hub.worker(&["-j", "2", "--until-done", "--output", "file/{name}", "--", "true"]);
    pool.hear("its output goes to");
    assert_eq!(hub.count("failed"), 0);
    // It is mended while the pool tries again.
    fs::remove_file(hub.path("file")).unwrap();
    let output = pool.end();
    output.exits(0);
    assert_eq!(output.stderr.matches("its output goes to").count(), 1, "told once: {output:?}");
    assert_eq!((hub.count("done"), hub.show("a")["task"]["attempt"].clone()), (2, 1.into()));
    assert_eq!(read(&hub, "file/a"), "");
}
