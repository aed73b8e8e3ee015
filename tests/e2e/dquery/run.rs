//! export, graph, report: what looks at a run as a whole, after it.

use std::path::{Path, PathBuf};

use e2e::{Hub, Process};
use serde_json::Value;

const EVIL: &str = "</script><b>\"q\" & \\n\\N</b>";

/// prep, and two that need it: one failed twice, so that merge is skipped; and one with an odd name.
fn ran() -> Hub {
    let hub = Hub::with(&["--retry-delay", "0s"]);
    hub.query(&["create", "merge", "sim-1", "sim-2"]).ok();
    hub.query(&["create", "prep", "--command", "./prep\n./check"]).ok();
    hub.query(&["create", "sim-2", "prep", "--retries", "1"]).ok();
    let steal = |name: &str| {
        let taken = hub.query(&["steal", "-q", "--worker", "node12:7", "--wait=60s"]);
        assert_eq!(taken.ok().trim_end(), name);
    };
    let fail = |code: &str| {
        hub.query(&["fail", "sim-2", "--exit-code", code, "--worker", "node12:7"]).ok();
    };
    steal("prep");
    hub.query(&["complete", "prep", "--worker", "node12:7"]).ok();
    steal("sim-2");
    fail("137");
    steal("sim-2");
    fail("3");
    hub.query(&["create", "sim-1", "prep"]).ok();
    steal("sim-1");
    hub.query(&["complete", "sim-1", "--worker", "node12:7"]).ok();
    hub.query(&["create", EVIL]).ok();
    steal(EVIL);
    hub.query(&["complete", EVIL, "--worker", "node12:7"]).ok();
    hub
}

#[test]
fn export_has_every_task_with_its_attempts() {
    let hub = ran();
    hub.query(&["create", "late", "nobody"]).ok();
    let tasks = hub.query(&["export"]).json_lines();
    let names: Vec<_> = tasks.iter().map(|it| it["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["merge", "sim-1", "sim-2", "prep", EVIL, "late"]);
    // Of one that was added before what it needs, too.
    assert_eq!(tasks[0]["needs"], serde_json::json!(["sim-1", "sim-2"]));
    assert_eq!(tasks[5]["needs"], serde_json::json!(["nobody"]));
    assert_eq!((&tasks[0]["state"], &tasks[2]["state"]), (&"skipped".into(), &"failed".into()));
    let attempts = tasks[2]["attempts"].as_array().expect("attempts");
    let ends: Vec<_> = attempts.iter().map(|it| (&it["outcome"], &it["exit_code"])).collect();
    assert_eq!(ends, [(&"failed".into(), &137.into()), (&"failed".into(), &3.into())]);
    assert_eq!(attempts[0].get("output"), None);
}

#[test]
fn the_log_of_jobs_is_as_gnu_parallel_writes_it() {
    let hub = ran();
    hub.query(&["export", "--joblog", "run.log"]).ok();
    let log = std::fs::read_to_string(hub.path("run.log")).expect("a log");
    assert_eq!(log, hub.query(&["export", "--joblog", "-"]).ok());
    let mut lines = log.lines();
    let header = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand";
    assert_eq!(lines.next(), Some(header));
    let jobs: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    let ends: Vec<_> = jobs.iter().map(|job| (job[6], job[7], job[8])).collect();
    let expected = [
        ("0", "0", "./prep\0./check"),
        ("137", "9", "sim-2"),
        ("3", "0", "sim-2"),
        ("0", "0", "sim-1"),
        ("0", "0", EVIL),
    ];
    assert_eq!(ends, expected);
    for job in &jobs {
        assert_eq!((job.len(), job[4], job[5]), (9, "0", "0"));
        let [started, ran] = [job[2], job[3].trim_start()].map(|it| it.parse::<f64>());
        assert!(started.expect("a time") > 1e9 && ran.expect("a time") >= 0.0, "{job:?}");
    }
    assert_eq!(jobs[1][0], jobs[2][0], "attempts of one task have its number");
    let output = hub.query(&["export", "--joblog", "no/such/dir/run.log"]);
    output.exits(9).is_one_message().says(&["no/such/dir/run.log"]);
}

#[test]
fn graph_draws_the_neighbourhood_of_a_task() {
    let hub = ran();
    let names = |args: &[&str]| -> Vec<String> {
        let picture = hub.query(&[&["graph", "--json"], args].concat()).json();
        let nodes = picture["nodes"].as_array().expect("nodes").iter();
        nodes.map(|node| node["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&["sim-1"]), ["merge", "sim-1", "prep"]);
    assert_eq!(names(&["merge", "--depth", "1"]), ["merge", "sim-1", "sim-2"]);
    assert_eq!(names(&[]).len(), 5);
    hub.query(&["graph", "nosuch"]).exits(6).is_one_message().says(&["nosuch"]);
    hub.query(&["graph", "--depth", "1"]).exits(2);
}

#[test]
fn graphviz_reads_the_graph_and_shows_every_name() {
    let hub = ran();
    let graph = hub.query(&["graph"]);
    graph.exits(0).prints(&["sim-2\\nfailed: exit 3", "merge\\nskipped", "digraph"]);
    let Some(dot) = found(&["dot"]) else {
        eprintln!("no graphviz here: not checked that it reads the graph");
        return;
    };
    hub.write("run.dot", graph.ok());
    let mut command = hub.space.command(dot.to_str().expect("UTF-8"));
    command.args(["-Tsvg", "run.dot"]);
    let drawn = Process::start(command).end();
    // In SVG, as it was named.
    let evil = EVIL.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let evil = evil.replace('"', "&quot;");
    drawn.exits(0).prints(&[">prep<", ">merge<", &format!(">{evil}<"), "<svg"]);
    assert_eq!(drawn.stdout.matches("class=\"edge\"").count(), 4);
}

#[test]
fn many_tasks_are_drawn_as_groups() {
    let hub = Hub::start();
    let sims: String = (0..250).map(|n| format!("sim-{n}\n")).collect();
    let needs: Vec<String> = (0..250).map(|n| format!("sim-{n}")).collect();
    hub.write("tasks.txt", format!("{sims}merge,{}\n", needs.join(",")));
    hub.query(&["addfile", "tasks.txt"]).ok();
    let output = hub.query(&["graph"]);
    output.exits(0).prints(&["sim-#\\n250 ready", "merge\\n1 waiting", "n0 -> n1 [label=\"250\"]"]);
    output.says(&["--all"]);
    let all = hub.query(&["graph", "--all"]);
    assert_eq!((all.ok().matches(" -> ").count(), all.stderr.as_str()), (250, ""));
}

#[test]
fn a_report_has_the_run_and_nothing_from_elsewhere() {
    let hub = ran();
    hub.query(&["report", "run.html"]).exits(0).prints(&["run.html: 5 tasks, 5 attempts"]);
    let page = std::fs::read_to_string(hub.path("run.html")).expect("a page");
    let begin = "<script type=\"application/json\" id=\"data\">";
    let (_, rest) = page.split_once(begin).expect("data");
    let (data, _) = rest.split_once("</script>").expect("the end of the data");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(
        (&data["summary"]["tasks"], &data["summary"]["failed_attempts"]),
        (&5.into(), &2.into())
    );
    assert_eq!(data["attempts"]["outcome"], "dffdd");
    assert_eq!(data["workers"], serde_json::json!([["node12:7", "node12"]]));
    assert_eq!(data["path"]["steps"][0][0], "prep");
    assert!(page.contains("default-src 'none'") && !page.contains(" src="), "one file");
    hub.query(&["report", "no/such/dir/run.html"]).exits(9).is_one_message();
}

#[test]
fn a_browser_shows_the_report_without_errors() {
    let Some(browser) = found(&["chromium", "chromium-browser", "google-chrome"]) else {
        eprintln!("no chromium here: not checked that it shows the report");
        return;
    };
    let hub = ran();
    let show = |page: &str| {
        let mut command = hub.space.command(browser.to_str().expect("UTF-8"));
        let (profile, page) = (hub.path("chromium"), hub.path(page));
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
            .args(["--disable-dev-shm-usage", "--virtual-time-budget=10000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("file://{}", page.display()));
        Process::start(command).end()
    };
    hub.write("blank.html", "<p>nothing</p>");
    let blank = show("blank.html");
    if blank.code != Some(0) || !blank.stdout.contains("nothing") {
        eprintln!(
            "{browser:?} shows no page here: not checked that it shows the report: {blank:#?}"
        );
        return;
    }
    let shown = |page: &str| {
        let shown = show(page);
        assert!(!shown.stderr.contains("Uncaught"), "{shown:#?}");
        // The last thing that the script does.
        shown.exits(0).prints(&["<footer>Written by dquery"]);
        shown
    };
    hub.query(&["report", "run.html"]).ok();
    let page = shown("run.html");
    page.prints(&[
        "<h1>run.db</h1>",
        "5 attempts, 2 failed",
        "exit 137 (killed; out of memory?)</td>",
    ]);
    page.prints(&["&lt;/script&gt;&lt;b&gt;\"q\" &amp; \\n\\N&lt;/b&gt;", "Critical path"]);
    assert!(!page.stdout.contains("<b>\"q\""), "a name became part of the page: {page:#?}");

    let empty = Hub::start();
    empty.query(&["create", "a", "nobody"]).ok();
    let output = empty.query(&["report", "-"]);
    hub.write("empty.html", output.ok());
    shown("empty.html").prints(&["nothing ran yet", "1 waiting"]);
}

/// The first of these programs that is installed.
fn found(programs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let places = programs.iter().flat_map(|it| dirs.iter().map(move |dir| Path::join(dir, it)));
    places.into_iter().find(|place| place.is_file())
}

/// In a directory of many a link may lead to somebody's terminal.
#[test]
fn what_is_written_to_a_file_follows_no_link_to_a_device() {
    let hub = ran();
    hub.sh("ln -s /dev/null run.html; ln -s /dev/null jobs.log");
    hub.query(&["report", "run.html"]).exits(9).is_one_message();
    hub.query(&["export", "--joblog", "jobs.log"]).exits(9).is_one_message();
    // The system's own links are followed.
    hub.query(&["report", "/dev/null"]).ok();
    assert!(hub.query(&["report", "/dev/stdout"]).ok().contains("<html"));
}
