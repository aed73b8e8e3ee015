//! Where tasks run, with what, and where their output is: told, kept, told again.

use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{Hub, outcome_done, outcome_failed, task, worker};

fn at(byte: u8, host: &str) -> Worker {
    Worker { host: host.into(), ..worker(byte) }
}

#[test]
fn a_lease_brings_directory_environment_and_input() {
    let mut hub = Hub::start();
    let full = Task {
        dir: "/scratch/ä".into(),
        env: vec!["A=1".into(), "B=a\n=b".into(), "A=2".into()],
        stdin: b"in\0\xff".to_vec(),
        retries: 1,
        ..task("full", &[])
    };
    let only_input = Task { stdin: b"x".to_vec(), ..task("input", &[]) };
    let all = [full.clone(), only_input, task("plain", &[])];
    assert_eq!(hub.native().create(&all).added, 3);
    // Right from the log, and from the file after a restart.
    for attempt in 1..=2 {
        let native = hub.native();
        let lease = native.steal_one(&worker(1));
        assert_eq!((lease.name.as_str(), lease.attempt), ("full", attempt));
        assert_eq!(
            (lease.dir, lease.env, lease.stdin),
            (full.dir.clone(), full.env.clone(), full.stdin.clone())
        );
        native.ask(Body::Exit(Exit { worker: Some(worker(1)) }));
        hub.restart();
    }
    let native = hub.native();
    assert_eq!(native.create(&all).existing, 3, "the same definition");
    let leases: Vec<Lease> = (0..3).map(|_| native.steal_one(&worker(1))).collect();
    let input = leases.iter().find(|lease| lease.name == "input").expect("the task");
    assert_eq!((input.stdin.as_slice(), input.dir.as_str()), (&b"x"[..], ""));
    let plain = leases.iter().find(|lease| lease.name == "plain").expect("the task");
    assert!(plain.dir.is_empty() && plain.env.is_empty() && plain.stdin.is_empty());
    let info = native.show("full").task.expect("a task");
    assert_eq!((info.dir, info.env, info.stdin_bytes), (full.dir, full.env, 4));
    // A retry, too, brings all of it.
    let lease = leases.iter().find(|lease| lease.name == "full").expect("the task");
    native.report(&worker(1), vec![Outcome { r#final: true, ..outcome_failed(lease) }]);
    hub.query(&["retry", "full"]).ok();
    assert_eq!(native.steal_one(&worker(2)).stdin, b"in\0\xff");
}

#[test]
fn attempts_say_where_they_ran_and_where_their_output_is() {
    let mut hub = Hub::with(&["--retry-delay", "0"]);
    let native = hub.native();
    native.create(&[Task { retries: 2, ..task("a/b", &[]) }]);
    // The first one says its host only later; the second one never.
    let lease = native.steal_one(&worker(1));
    assert_eq!(native.show("a/b").attempts[0].host, "");
    let beat = Heartbeat {
        worker: Some(at(1, "node1")),
        output_files: "/scratch/{host}/{name}.{attempt}.out".into(),
        ..Heartbeat::default()
    };
    native.ask(Body::Heartbeat(beat));
    let running = native.show("a/b").attempts.remove(0);
    assert_eq!((running.outcome.as_str(), running.host.as_str()), ("running", "node1"));
    assert_eq!(running.output_file, "/scratch/node1/a%2Fb.1.out");
    let output_file = running.output_file;
    let failed = Outcome { output_file, ..outcome_failed(&lease) };
    native.report(&worker(1), vec![failed]);
    let lease = native.steal_one(&worker(2));
    native.report(&worker(2), vec![outcome_failed(&lease)]);
    let lease = native.steal_one(&at(3, "node3"));
    let long = Outcome { output_file: "/".repeat(5_000), ..outcome_done(&lease) };
    native.report(&at(3, "elsewhere"), vec![long]);

    hub.restart();
    let native = hub.native();
    let attempts = native.show("a/b").attempts;
    let said: Vec<_> =
        attempts.iter().map(|it| (it.host.as_str(), it.output_file.as_str())).collect();
    assert_eq!(said, [("node1", "/scratch/node1/a%2Fb.1.out"), ("", ""), ("node3", "")]);
    // What was stored counts, whatever a worker says after the restart.
    native.create(&[task("c", &[])]);
    native.steal_one(&at(3, "elsewhere"));
    assert_eq!(native.show("c").attempts[0].host, "node3");
}

#[test]
fn leases_with_large_inputs_fit_into_replies() {
    use dhub_proto::Message;
    use dhub_proto::limits::{LEASES_BYTES_MAX, STDIN_BYTES_MAX};
    const TASKS: usize = 200;
    let mut hub = Hub::start();
    let large = |i: usize| Task {
        env: vec![format!("A={}", "e".repeat(60_000))],
        stdin: vec![0; STDIN_BYTES_MAX],
        ..task(&format!("t{i}"), &[])
    };
    let tasks: Vec<Task> = (0..TASKS).map(large).collect();
    hub.native().create(&tasks);
    for _ in 0..2 {
        let steal = Steal { worker: Some(worker(1)), n: TASKS as u32, ..Steal::default() };
        let stolen = hub.native().steal(steal);
        assert!(stolen.encoded_len() <= LEASES_BYTES_MAX && stolen.leases.len() > 30);
        assert!(stolen.leases.iter().all(|lease| lease.stdin.len() == STDIN_BYTES_MAX));
        hub.restart();
    }
}
