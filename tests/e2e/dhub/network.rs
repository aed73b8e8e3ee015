//! With --network-file: another journal, the same promises.

use dhub_proto::wire::State;
use e2e::{Hub, outcome_done, task, worker};

#[test]
fn the_journal_for_network_files_survives_kills() {
    let mut hub = Hub::with(&["--network-file"]);
    let worker = worker(1);
    let mut done = Vec::new();
    for round in 0..6 {
        let native = hub.native();
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        native.create(&[task(&a, &[]), task(&b, &[&a])]);
        let lease = native.steal_one(&worker);
        assert_eq!(lease.name, a);
        assert_eq!(native.report(&worker, vec![outcome_done(&lease)]), []);
        let running = native.steal_one(&worker);
        assert_eq!(running.name, b);
        hub.restart();
        let native = hub.native();
        assert_eq!(native.state(&b), State::Running);
        assert_eq!(native.report(&worker, vec![outcome_done(&running)]), []);
        done.extend([a, b]);
        for name in &done {
            assert_eq!(native.state(name), State::Done);
        }
        assert!(!hub.path("run.db-wal").exists());
    }
    hub.kill9();
    let check = ["check", "--network-file", "run.db"];
    hub.space.run("dhub", &check).exits(0).prints(&["sound", "12 done"]);
}

#[test]
fn a_file_moves_between_the_two_journals() {
    let mut hub = Hub::start();
    for (round, args) in [&["--network-file"][..], &[], &["--network-file"]].iter().enumerate() {
        hub.native().create(&[task(&round.to_string(), &[])]);
        // The log, or the journal, of a hub that was killed is there.
        hub.kill9();
        hub.set_args(args);
        hub.restart();
        assert_eq!(hub.native().counts().ready, round as u64 + 1);
    }
    hub.terminate().exits(0);
    hub.space.run("dhub", &["check", "run.db"]).exits(0).prints(&["3 ready"]);
}
