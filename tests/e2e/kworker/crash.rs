//! kill -9 for the hub and for workers: no task is lost, none that was acknowledged runs again.

use e2e::{Hub, Log, eventually};
use rustix::process::Signal;

/// Ends when the file `gate` is there, or its directory is not.
const GATE: &str = "while test -e run.db && ! test -e gate; do sleep 0.02; done";

fn add(hub: &Hub, tasks: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
    hub.write("tasks.txt", names.join("\n"));
    hub.query(&["addfile", "tasks.txt"]).ok();
    names.sort();
    names
}

#[test]
fn the_hub_dies_while_tasks_run_and_nobody_minds() {
    let mut hub = Hub::start();
    let names = add(&hub, 40);
    let script = "echo {} >>log; sleep 0.05";
    let pools = [(); 2].map(|()| hub.worker(&["-j", "2", "--until-done", "--shell", script]));
    let log = Log::new(hub.path("log"));
    for many in [5, 15, 25] {
        eventually("tasks to run", || (log.len() >= many).then_some(()));
        hub.kill9();
        hub.restart();
    }
    for pool in pools {
        pool.end().exits(0);
    }
    assert_eq!(log.sorted(), names, "each once");
    assert_eq!(hub.count("done"), 40);
}

#[test]
fn tasks_that_end_while_the_hub_is_away_are_reported_when_it_is_back() {
    let mut hub = Hub::start();
    add(&hub, 4);
    let script = format!("echo {{}} >>log; {GATE}");
    let mut pool = hub.worker(&["-j", "4", "--until-done", "--timeout", "1s", "--shell", &script]);
    let log = Log::new(hub.path("log"));
    eventually("all to run", || (log.len() == 4).then_some(()));
    hub.kill9();
    pool.hear("hub is silent");
    hub.write("gate", "");
    hub.restart();
    pool.hear("hub is back");
    pool.end().exits(0);
    assert_eq!((log.len(), hub.count("done")), (4, 4));
    assert_eq!(hub.show("t0")["task"]["attempt"], 1);
}

#[test]
fn the_tasks_of_a_killed_worker_finish_elsewhere() {
    let hub = Hub::with(&["--worker-timeout", "2s"]);
    let names = add(&hub, 6);
    let script = format!("echo {{}} >>started; {GATE}");
    let victim = hub.worker(&["-j", "2", "--name", "victim", "--shell", &script]);
    let started = Log::new(hub.path("started"));
    eventually("two to start", || (started.len() == 2).then_some(()));
    victim.signal_pool(Signal::KILL);
    hub.worker(&["-j", "2", "--until-done", "--shell", "echo {} >>log"]).end().exits(0);
    assert_eq!(Log::new(hub.path("log")).sorted(), names);
    let shown = hub.show(&started.names()[0]);
    assert_eq!(shown["attempts"][0]["outcome"], "reclaimed");
    assert_eq!(shown["attempts"][0]["worker"], "victim");
    assert_eq!(shown["task"]["state"], "done");
}

#[test]
fn a_task_that_kills_its_worker_fails_after_the_fifth() {
    let hub = Hub::with(&["--worker-timeout", "2s"]);
    hub.query(&["create", "killer"]).ok();
    for attempt in 1..=5 {
        // It kills its pool once the hub knows that it has started.
        let script = format!("echo >>ran; {GATE}; kill -9 $PPID");
        let pool = hub.worker(&["-j", "1", "--shell", &script]);
        let known = || {
            let status = hub.query(&["status", "--json"]).json();
            let workers = status["workers"].as_array().cloned().unwrap_or_default();
            workers.iter().any(|it| it["started"] == 1).then_some(())
        };
        eventually("the hub to know that it runs", known);
        hub.write("gate", "");
        assert_eq!(pool.end().code, None, "killed in attempt {attempt}");
        std::fs::remove_file(hub.path("gate")).unwrap();
        let back = || (hub.state("killer") != "running").then_some(());
        eventually("the task to be taken back", back);
    }
    let task = &hub.show("killer")["task"];
    assert_eq!(task["state"], "failed");
    assert!(task["reason"].as_str().unwrap().contains("took down 5 workers"), "{task}");
    assert_eq!(Log::new(hub.path("ran")).len(), 5);
}

/// Kills the pool that runs it, before that can tell anybody that it has started.
const PILL: &str = "echo >>pill; kill -9 $PPID; sleep 9";

/// Starts pools, one after the other, until the pill has failed, and one more for the rest; how many were killed.
fn poison(hub: &Hub, args: &[&str], between: impl Fn(usize)) -> usize {
    let mut killed = 0;
    while hub.state("pill") != "failed" {
        assert!(killed < 20, "it is tried for ever");
        between(killed);
        let args = [args, &["--until-done"]].concat();
        assert_eq!(hub.worker(&args).end().code, None, "of pool {killed}");
        killed += 1;
        let back = || (hub.count("running") == 0).then_some(());
        eventually("its tasks to be taken back", back);
    }
    let reason = hub.show("pill")["task"]["reason"].to_string();
    assert!(reason.contains("took down 5 workers"), "{reason}");
    assert_eq!(hub.worker(&[args, &["--until-done"]].concat()).end().code, Some(1));
    killed
}

#[test]
fn a_task_that_kills_its_pool_at_once_fails_after_the_fifth() {
    let hub = Hub::with(&["--worker-timeout", "2s"]);
    hub.query(&["create", "pill", "--command", PILL]).ok();
    let said = |killed: usize| {
        let shown = hub.query(&["show", "pill"]).ok().to_owned();
        let alone = "-> 4 workers in a row were lost with it: the next one tries it alone";
        assert_eq!(shown.contains(alone), killed == 4, "after {killed}: {shown}");
    };
    assert_eq!(poison(&hub, &["-j1"], said), 5);
    assert_eq!(Log::new(hub.path("pill")).len(), 5);
}

#[test]
fn who_makes_room_for_a_last_try_is_told() {
    let hub = Hub::with(&["--worker-timeout", "2s"]);
    hub.query(&["create", "pill", "--command", PILL]).ok();
    for _ in 0..4 {
        assert_eq!(hub.worker(&["-j1"]).end().code, None);
        eventually("it to be taken back", || (hub.state("pill") == "ready").then_some(()));
    }
    let shown = |name: &str| hub.query(&["show", name]).ok().to_owned();
    let status = || hub.query(&["status"]).ok().to_owned();
    assert!(shown("pill").ends_with("when it runs nothing else; none makes room for it yet\n"));
    assert!(
        status().contains("pill waits for a worker that runs nothing else; no worker makes room")
    );
    hub.query(&["hold", "pill"]).ok();
    hub.query(&["create", "busy", "--command", GATE]).ok();
    let pool = hub.worker(&["-j2", "--name", "w1", "--until-done"]);
    eventually("it to be busy", || (hub.state("busy") == "running").then_some(()));
    assert!(!status().contains("  alone "), "what is held waits for nobody");
    hub.query(&["unhold", "pill"]).ok();
    hub.query(&["create", "bulk", "--command", "true"]).ok();
    let makes = "runs nothing else; w1 makes room for it, and gets nothing until it runs nothing\n";
    assert!(shown("pill").ends_with(makes), "{}", shown("pill"));
    let bulk = shown("bulk");
    assert!(
        bulk.contains("may get it: dquery workers (not w1, which makes room for pill)"),
        "{bulk}"
    );
    let line = "  alone     pill waits for a worker that runs nothing else; w1 makes room for it\n";
    assert!(status().contains(line), "{}", status());
    let json = hub.query(&["status", "--json"]).json();
    assert_eq!((&json["room_for"], &json["room_by"]), (&"pill".into(), &"w1".into()));
    hub.query(&["cancel", "pill"]).ok();
    eventually("the others to go on", || (hub.state("bulk") == "done").then_some(()));
    assert!(!status().contains("  alone "));
    hub.write("gate", "");
    pool.end().exits(1);
}

#[test]
fn those_that_run_beside_it_do_not_fail_for_it() {
    let hub = Hub::with(&["--worker-timeout", "2s"]);
    for name in ["x", "y", "z"] {
        hub.query(&["create", name, "--command", GATE]).ok();
    }
    hub.query(&["create", "pill", "--command", PILL]).ok();
    // Each of them is there four times; then it runs alone, and ends.
    let killed = poison(&hub, &["-j4"], |killed| {
        if killed == 4 {
            hub.write("gate", "");
        }
    });
    assert_eq!(killed, 5);
    for name in ["x", "y", "z"] {
        let task = &hub.show(name)["task"];
        assert_eq!((&task["state"], &task["attempt"]), (&"done".into(), &5.into()), "{name}");
    }
}

#[test]
fn what_was_stolen_ahead_of_it_or_behind_it_does_not_fail_for_it() {
    let hub = Hub::with(&["--worker-timeout", "2s"]);
    for name in ["a", "b"] {
        hub.query(&["create", name, "--command", "true"]).ok();
    }
    hub.query(&["create", "pill", "--command", PILL]).ok();
    hub.query(&["create", "behind", "--command", "true"]).ok();
    // Once it may be that the hub does not hear of those that ended just before.
    assert!(poison(&hub, &["-j1", "--ahead", "3"], |_| ()) <= 6);
    assert_eq!(hub.count("done"), 3);
    assert_eq!(hub.show("behind")["task"]["reclaims"], 0);
}

/// Each ends when its pool has started another one, so that no pool is ever without any as long as it gets some.
fn never_idle(hub: &Hub, name: &str) -> e2e::Process {
    let last = "echo {} >POOL.{}; mv POOL.{} POOL.last";
    let ends =
        "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; test $(cat POOL.last) = {} || break; done";
    let script = format!("{last}; {ends}").replace("POOL", name);
    hub.worker(&["-j", "2", "--ahead", "0", "--name", name, "--shell", &script])
}

#[test]
fn an_urgent_task_on_its_last_try_ends_where_no_pool_is_ever_idle() {
    let hub = Hub::with(&["--worker-timeout", "2s"]);
    // It takes down four pools, and would be the end of nobody after that.
    let pill = format!("test $(cat pill | wc -l) = 4 || {{ {PILL}; }}");
    hub.write("pill", "");
    hub.query(&["create", "pill", "--priority", "5", "--command", &pill]).ok();
    for _ in 0..4 {
        assert_eq!(hub.worker(&["-j1"]).end().code, None);
        let back = || (hub.state("pill") == "ready").then_some(());
        eventually("the task to be taken back", back);
    }
    hub.query(&["hold", "pill"]).ok();
    add(&hub, 2_000);
    let _pools = ["ada", "bob"].map(|name| never_idle(&hub, name));
    eventually("all slots to be busy", || (hub.count("running") == 4).then_some(()));
    hub.query(&["unhold", "pill"]).ok();
    eventually("the urgent one to end", || (hub.state("pill") == "done").then_some(()));
    assert!(hub.count("ready") > 0, "only when nothing else was left");
    let pill = hub.show("pill");
    assert_eq!(pill["task"]["attempt"], 5);
    let worker = pill["attempts"].as_array().and_then(|all| all.last()).map(|last| &last["worker"]);
    assert!(worker.is_some_and(|it| *it == "ada" || *it == "bob"), "{pill}");
    // Both go on.
    let done = hub.count("done");
    eventually("more to end", || (hub.count("done") > done + 10).then_some(()));
}

#[test]
fn a_worker_that_lost_its_lease_kills_the_process() {
    let hub = Hub::with(&["--worker-timeout", "2s"]);
    hub.query(&["create", "a"]).ok();
    let script = format!("echo $$ >pid.$DHUB_ATTEMPT; {GATE}");
    let frozen = hub.worker(&["-j", "1", "--name", "frozen", "--shell", &script]);
    eventually("the task to start", || hub.path("pid.1").exists().then_some(()));
    frozen.signal_pool(Signal::STOP);
    let _other = hub.worker(&["-j", "1", "--name", "other", "--shell", &script]);
    eventually("the task to run elsewhere", || {
        let task = &hub.show("a")["task"];
        let started = hub.path(&format!("pid.{}", task["attempt"])).exists();
        (started && task["state"] == "running" && task["worker"] == "other").then_some(())
    });
    frozen.signal_pool(Signal::CONT);
    let pid = std::fs::read_to_string(hub.path("pid.1")).unwrap();
    let proc = format!("/proc/{}", pid.trim());
    let is_gone = || (!std::fs::exists(&proc).unwrap()).then_some(());
    eventually("the first process to be killed", is_gone);
    hub.write("gate", "");
    hub.query(&["wait"]).exits(0);
    assert_eq!(hub.show("a")["task"]["worker"], "other");
}

#[test]
fn a_worker_that_lives_keeps_a_task_longer_than_its_term() {
    let hub = Hub::with(&["--worker-timeout", "3s"]);
    hub.query(&["create", "a"]).ok();
    let script = "sleep 7; echo {} >>log";
    hub.worker(&["-j", "1", "--until-done", "--shell", script]).end().exits(0);
    assert_eq!(Log::new(hub.path("log")).names(), ["a"]);
    let shown = hub.show("a");
    assert_eq!(shown["task"]["attempt"], 1, "{:#}", shown["attempts"]);
}

#[test]
fn a_cancelled_task_is_stopped_where_it_runs() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    let pool = hub.worker(&["-j", "1", "--until-done", "--shell", "echo $$ >pid; sleep 1000"]);
    let pid = eventually("the task to start", || {
        let pid = std::fs::read_to_string(hub.path("pid")).unwrap_or_default();
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    });
    hub.query(&["cancel", "a"]).ok();
    pool.end().exits(1);
    assert!(!std::fs::exists(format!("/proc/{pid}")).unwrap());
    assert_eq!(hub.state("a"), "cancelled");
}
