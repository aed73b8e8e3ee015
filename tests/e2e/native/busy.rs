//! A hub that is never idle: time passes all the same, and requests under way are kept apart.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhub_proto::Message;
use dhub_proto::wire::reply::Body as Answer;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::*;
use e2e::{AtEnd, Hub, Native, eventually, outcome_failed, task, worker};

/// So many report without end, each time with so many names.
const BUSY: usize = 6;
const NAMES: usize = 4_000;

/// What is dear to the hub and cheap to send, and nobody waits for an answer to it: the hub is never
/// without.
fn keep_busy(hub: &Hub, over: &AtomicBool) {
    let push = || {
        let push = zmq::Context::new().socket(zmq::PUSH).expect("a socket");
        push.set_linger(0).expect("an option");
        push.connect(&format!("tcp://127.0.0.1:{}", hub.port() + 1)).expect("the port for reports");
        push
    };
    let sockets: Vec<_> = (0..BUSY).map(|_| push()).collect();
    let attempt = |n| Attempt { name: format!("t{n}"), attempt: 1, started: true };
    let attempts = (0..NAMES).map(attempt).collect();
    let beat = Heartbeat { worker: Some(worker(9)), attempts, ..Heartbeat::default() };
    let frame = Report { body: Some(report::Body::Heartbeat(beat)) }.encode_to_vec();
    while !over.load(Ordering::Relaxed) {
        let is_full = |push: &zmq::Socket| push.send(&frame, zmq::DONTWAIT).is_err();
        if sockets.iter().all(is_full) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn patterns(pattern: &str) -> Option<Selection> {
    Some(Selection { patterns: vec![pattern.into()], ..Selection::default() })
}

#[test]
fn time_passes_while_messages_keep_coming() {
    let hub = Hub::with(&["--worker-timeout", "1s", "--retry-delay", "1s"]);
    let native = hub.native();
    native.create(&[task("t0", &[])]);
    native.steal_one(&worker(9));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = AtEnd(&over);
        scope.spawn(|| keep_busy(&hub, &over));
        // A silent worker's lease ends.
        native.create(&[task("silent", &[])]);
        native.steal_one(&worker(1));
        await_state(&native, "silent", State::Ready);
        // A wait is over.
        let wait = Wait { wait_ms: 500, ..Wait::default() };
        assert!(matches!(native.ask(Body::Wait(wait)), Answer::Waited(_)));
        // The next try comes.
        native.create(&[Task { retries: 1, priority: 5, ..task("again", &[]) }]);
        let lease = native.steal_one(&worker(2));
        native.report(&worker(2), vec![outcome_failed(&lease)]);
        assert_eq!(native.state("again"), State::Waiting);
        await_state(&native, "again", State::Ready);
        // Its reports were heard.
        assert_eq!(native.state("t0"), State::Running);
    });
}

fn await_state(native: &Native, name: &str, state: State) {
    eventually(&format!("{name} to be {state:?}"), || (native.state(name) == state).then_some(()));
}

/// Each of them takes many turns; the same one sent twice is one.
#[test]
fn different_long_requests_at_once_do_what_each_was_asked() {
    const EACH: usize = 10_000;
    let hub = Hub::start();
    let native = hub.native();
    for kind in ["a", "b", "c"] {
        for part in 0..EACH / 5_000 {
            let named = |n| task(&format!("{kind}{n:05}"), &[]);
            native.create(&(part * 5_000..(part + 1) * 5_000).map(named).collect::<Vec<_>>());
        }
    }
    let all = EACH as u64;
    let (one, two, three, again) = (hub.native(), hub.native(), hub.native(), hub.native());
    let cancel = |pattern| Body::Cancel(Cancel { selection: patterns(pattern) });
    let hold = Adjust { selection: patterns("c*"), change: Some(adjust::Change::Held(true)) };
    one.send(cancel("a*"));
    two.send(cancel("b*"));
    again.send(cancel("a*"));
    three.send(Body::Adjust(hold));
    for (which, asked) in [("a*", &one), ("b*", &two)] {
        let Some(Answer::Cancelled(cancelled)) = asked.receive().body else { panic!("{which}") };
        assert_eq!(cancelled.cancelled, all, "{which}");
    }
    // It joined, or came when there was nothing left.
    let Some(Answer::Cancelled(joined)) = again.receive().body else { panic!("a* again") };
    assert!([0, all].contains(&joined.cancelled), "{joined:?}");
    let Some(Answer::Adjusted(held)) = three.receive().body else { panic!("c*") };
    assert_eq!(held.adjusted, all);
    let counts = native.counts();
    assert_eq!((counts.cancelled, counts.waiting), (2 * all, all));
    for (name, state) in [("a00007", State::Cancelled), ("b09999", State::Cancelled)] {
        assert_eq!(native.state(name), state);
    }
    assert!(native.show("c00000").task.expect("a task").held);
}
