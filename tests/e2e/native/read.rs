//! Hello, Status, List, Show.

use dhub_proto::limits::*;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, Native, outcome_done, outcome_failed, task, worker};

#[track_caller]
fn list(native: &Native, list: List) -> Listed {
    match native.ask(Body::List(list)) {
        Answer::Listed(listed) => listed,
        other => panic!("not listed: {other:?}"),
    }
}

#[test]
fn the_welcome_names_limits_and_where_reports_go() {
    let hub = Hub::with(&["--worker-timeout", "7s", "--lease", "3h"]);
    let hello = || Body::Hello(Hello { version: "test".into() });
    let Answer::Welcome(welcome) = hub.native().ask(hello()) else { panic!("no welcome") };
    assert_eq!(welcome.version, dhub_proto::VERSION);
    assert_eq!((welcome.worker_timeout_ms, welcome.lease_ms), (7_000, 3 * 3600 * 1000));
    assert_eq!(welcome.batch_tasks_max as usize, BATCH_TASKS_MAX);
    assert_eq!(welcome.steal_tasks_max as usize, STEAL_TASKS_MAX);
    assert_eq!(welcome.message_bytes_max as usize, MESSAGE_BYTES_MAX);
    assert_eq!(welcome.report_endpoint, format!("tcp://:{}", hub.port() + 1));
    let ipc = hub.ipc_target().endpoint;
    let Answer::Welcome(welcome) = Native::to(&hub.ipc_target()).ask(hello()) else {
        panic!("no welcome");
    };
    assert_eq!(welcome.report_endpoint, format!("{ipc}.report"));
}

#[test]
fn pages_have_every_task_once_in_the_order_of_creation() {
    let hub = Hub::start();
    let native = hub.native();
    let tasks: Vec<Task> = (0..25).map(|n| task(&format!("t{n:02}"), &[])).collect();
    native.create(&tasks[..10]);
    native.create(&tasks[10..]);
    let (mut names, mut after, mut pages) = (Vec::new(), 0, 0);
    loop {
        let page = list(&native, List { limit: 10, after, ..List::default() });
        assert!(page.tasks.len() <= 10);
        names.extend(page.tasks.into_iter().map(|task| task.name));
        (after, pages) = (page.next, pages + 1);
        if after == 0 {
            break;
        }
    }
    let added: Vec<String> = tasks.into_iter().map(|task| task.name).collect();
    assert_eq!((names, pages), (added, 3));
}

#[test]
fn pages_go_back_from_the_last_task_to_the_first() {
    let hub = Hub::start();
    let native = hub.native();
    let tasks: Vec<Task> = (0..25).map(|n| task(&format!("t{n:02}"), &[])).collect();
    native.create(&tasks);
    let (mut names, mut before, mut pages) = (Vec::new(), u64::MAX, 0);
    while before != 0 {
        let page = list(&native, List { limit: 10, before, ..List::default() });
        assert!(page.tasks.is_sorted_by_key(|task| task.id) && page.tasks.len() <= 10);
        names.splice(0..0, page.tasks.into_iter().map(|task| task.name));
        (before, pages) = (page.next, pages + 1);
    }
    let added: Vec<String> = tasks.into_iter().map(|task| task.name).collect();
    assert_eq!((names, pages), (added, 3));

    let three = Steal { worker: Some(worker(1)), n: 3, ..Steal::default() };
    assert_eq!(native.steal(three).leases.len(), 3);
    let running = Selection { states: vec![State::Running as i32], ..Selection::default() };
    let last = List { selection: Some(running), limit: 2, before: u64::MAX, ..List::default() };
    let page = list(&native, last.clone());
    let names: Vec<_> = page.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!((names, page.next), (vec!["t01", "t02"], page.tasks[0].id));
    let page = list(&native, List { before: page.next, ..last.clone() });
    assert_eq!((page.tasks[0].name.as_str(), page.tasks.len(), page.next), ("t00", 1, 0));

    let named = Some(Selection { names: vec!["t00".into()], ..Selection::default() });
    for nonsense in [List { after: 1, ..last.clone() }, List { selection: named, ..last }] {
        assert_eq!(native.error(Body::List(nonsense)).0, ErrorCode::ErrorInvalid);
    }
}

#[test]
fn lists_are_narrowed_by_state_and_by_name() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&["a", "b", "c"].map(|name| task(name, &[])));
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_failed(&lease)]);
    let failed = Selection { states: vec![State::Failed.into()], ..Selection::default() };
    let listed = list(&native, List { selection: Some(failed), ..List::default() });
    assert_eq!(listed.tasks.iter().map(|task| &task.name).collect::<Vec<_>>(), ["a"]);
    assert_eq!((listed.tasks[0].exit_code, listed.next), (3, 0));
    let names = ["c", "x", "a"].map(String::from).to_vec();
    let some = Selection { names, ..Selection::default() };
    let listed = list(&native, List { selection: Some(some), ..List::default() });
    assert_eq!((listed.tasks.len(), listed.unknown), (2, vec!["x".to_owned()]));
    let nonsense = Some(Selection { states: vec![99], ..Selection::default() });
    let refused = native.error(Body::List(List { selection: nonsense, ..List::default() }));
    assert_eq!(refused.0, ErrorCode::ErrorInvalid);
}

#[test]
fn show_tells_what_a_task_waits_for_and_what_needs_it() {
    let hub = Hub::start();
    let native = hub.native();
    let middle = Task { command: "run".into(), priority: 4, retries: 2, ..task("b", &["a", "x"]) };
    native.create(&[task("a", &[]), middle, task("c", &["b"])]);
    let lease = native.steal_one(&worker(1));
    native.report(&worker(1), vec![outcome_done(&lease)]);
    let shown = native.show("b");
    let states = |tasks: &[TaskInfo]| -> Vec<(String, State)> {
        tasks.iter().map(|task| (task.name.clone(), task.state())).collect()
    };
    let needs = states(&shown.needs);
    assert!(needs.contains(&("a".into(), State::Done)), "{needs:?}");
    assert!(needs.contains(&("x".into(), State::Missing)), "{needs:?}");
    assert_eq!(states(&shown.needed_by), [("c".into(), State::Waiting)]);
    let task = shown.task.unwrap();
    assert_eq!((task.command.as_str(), task.priority, task.retries), ("run", 4, 2));
    let unknown = native.error(Body::Show(Show { name: "nobody".into() }));
    assert_eq!((unknown.0, unknown.1.names), (ErrorCode::ErrorNotFound, vec!["nobody".into()]));
}

#[test]
fn status_counts_and_groups_failures() {
    let hub = Hub::start();
    let native = hub.native();
    native.create(&["a", "b", "c", "d"].map(|name| task(name, &[])));
    native.create(&[task("e", &["nobody"])]);
    for reason in ["too slow", "too slow", "odd"] {
        let lease = native.steal_one(&worker(1));
        let outcome = Outcome { reason: reason.into(), ..outcome_failed(&lease) };
        native.report(&worker(1), vec![outcome]);
    }
    let status = native.status();
    let counts = Counts { failed: 3, ready: 1, waiting: 1, missing: 1, ..Counts::default() };
    assert_eq!((status.counts, status.phase()), (Some(counts), Phase::Active));
    assert_eq!(status.missing, ["nobody"]);
    let groups: Vec<_> = status.failures.iter().map(|it| (it.reason.as_str(), it.count)).collect();
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert!(groups[0].0.contains("too slow") && groups[0].1 == 2, "{groups:?}");
    let hub_info = status.hub.unwrap();
    assert!(hub_info.insecure && hub_info.file.ends_with("run.db"), "{hub_info:?}");
}
