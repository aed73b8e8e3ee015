//! Replies have a size limit too: what does not fit comes with the next one.

use dhub_proto::Message;
use dhub_proto::limits::*;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, Native, worker};

const TASKS: usize = 300;

/// A hub with 300 tasks whose commands are as long as they may be: 39 MB.
fn with_large_commands(hub: &Hub) -> Native {
    let native = hub.native();
    let task = |i: usize| Task {
        name: format!("t{i}"),
        command: "x".repeat(COMMAND_BYTES_MAX),
        ..Task::default()
    };
    let tasks: Vec<Task> = (0..TASKS).map(task).collect();
    assert_eq!(native.create(&tasks).added, TASKS as u64);
    native
}

#[test]
fn leases_come_in_replies_that_a_client_takes() {
    let hub = Hub::start();
    let native = with_large_commands(&hub);
    let mut got = 0;
    let mut replies = 0;
    while got < TASKS {
        let steal = Steal { worker: Some(worker(1)), n: TASKS as u32, ..Steal::default() };
        let stolen = native.steal(steal);
        let bytes = stolen.encoded_len();
        assert!(bytes <= LEASES_BYTES_MAX && !stolen.leases.is_empty(), "{bytes} bytes");
        got += stolen.leases.len();
        replies += 1;
    }
    assert!(replies > 1);
    assert_eq!(native.counts().running, TASKS as u64);
}

#[test]
fn pages_come_in_replies_that_a_client_takes() {
    let hub = Hub::start();
    let native = with_large_commands(&hub);
    let names: Vec<String> = (0..TASKS).map(|i| format!("t{i}")).collect();
    let by_name = Selection { names: names.clone(), ..Selection::default() };
    for selection in [None, Some(by_name)] {
        let (mut after, mut pages, mut listed) = (0, 0, Vec::new());
        loop {
            let list = List { selection: selection.clone(), limit: TASKS as u32, after, before: 0 };
            let page = match native.ask(Body::List(list)) {
                Answer::Listed(page) => page,
                other => panic!("not listed: {other:?}"),
            };
            let bytes = page.encoded_len();
            assert!(bytes < PAGE_BYTES_MAX + 2 * COMMAND_BYTES_MAX, "{bytes} bytes");
            listed.extend(page.tasks.into_iter().map(|task| task.name));
            (after, pages) = (page.next, pages + 1);
            if after == 0 {
                break;
            }
        }
        assert!(pages > 1);
        assert_eq!(listed, names);
    }
}

#[test]
fn neighbours_are_shown_without_their_commands() {
    let hub = Hub::start();
    let native = with_large_commands(&hub);
    let needs: Vec<String> = (0..TASKS).map(|i| format!("t{i}")).collect();
    native.create(&[Task { name: "all".into(), needs, ..Task::default() }]);
    let shown = native.show("all");
    assert_eq!(shown.needs.len(), TASKS);
    assert!(shown.needs.iter().all(|need| need.command.is_empty()));
    assert_eq!(native.show("t0").task.map(|task| task.command.len()), Some(COMMAND_BYTES_MAX));
}

#[test]
fn names_that_could_not_be_told_again_are_refused() {
    let hub = Hub::start();
    let native = hub.native();
    let long = |i: usize| format!("{i:0NAME_BYTES_MAX$}");
    let names: Vec<String> = (0..NAMES_BYTES_MAX / NAME_BYTES_MAX + 1).map(long).collect();
    let selection = Some(Selection { names, ..Selection::default() });
    let (code, error) = native.error(Body::Cancel(Cancel { selection }));
    assert_eq!(code, ErrorCode::ErrorLimit, "{error:?}");
}

#[test]
fn a_frame_of_millions_of_empty_tasks_is_refused_before_it_is_decoded() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.status();
    let before = hub.memory_bytes();
    // Two bytes a task; decoded each would take more than a hundred.
    let tasks = vec![Task::default(); 4_000_000];
    let (code, error) = native.error(Body::Create(Create { tasks }));
    assert_eq!(code, ErrorCode::ErrorLimit, "{error:?}");
    let grown = hub.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 200 << 20, "{} MiB", grown >> 20);
}
