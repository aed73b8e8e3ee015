//! A disk that has no space left, and one that soon will not.

use dhub_proto::dwork::query_msg::Type;
use dhub_proto::exit::Exit;
use dhub_proto::wire::request::Body;
use dhub_proto::wire::{Create, ErrorCode, State, Steal};
use e2e::{Hub, eventually, outcome_done, plain_worker, task};

use crate::load::{big_task, work_until_it_stops};

#[test]
fn a_disk_that_takes_no_more_stops_the_hub_and_nothing_is_lost() {
    // Once the log meets the limit, once the file does: while the log is moved into it.
    for (kib_max, args) in [(500, &[][..]), (3_000, &[]), (900, &["--network-file"])] {
        let mut hub = Hub::with_file_limit(kib_max);
        if !args.is_empty() {
            hub.terminate().exits(0);
            hub.set_args(args);
            hub.restart();
        }
        let told = work_until_it_stops(&mut hub, |_| {});
        assert!(told.created.len() > 20 && told.done.len() > 5, "{}", told.created.len());
        let end = hub.end();
        end.exits(Exit::Disk as i32).says(&["cannot commit: ", "nothing that was acknowledged"]);
        end.says(&["run.db", ": it may not grow any more, by a limit of file sizes (ulimit -f)"]);
        end.says(&["mend that, then start the hub again: dhub -f run.db"]);
        assert!(!end.stderr.contains("panicked"), "{end:?}");

        hub.lift_file_limit();
        hub.restart();
        let native = hub.native();
        told.is_kept_by(&native);
        native.create(&[big_task("afterwards")]);
        hub.query(&["exit", "node1"]).exits(0);
        let all = native.counts().ready;
        let steal =
            Steal { worker: Some(plain_worker("node2")), n: all as u32, ..Steal::default() };
        let leases = native.steal(steal).leases;
        assert_eq!(leases.len() as u64, all);
        let outcomes = leases.iter().map(outcome_done).collect();
        assert_eq!(native.report(&plain_worker("node2"), outcomes), []);
        assert_eq!(native.counts().done, native.counts().done.max(told.created.len() as u64 + 1));
        hub.terminate().exits(0);
        let check = [&["check", "run.db"], args].concat();
        hub.space.run("dhub", &check).exits(0).prints(&["sound", "everything is finished"]);
    }
}

/// More than any disk has.
const RESERVE: [&str; 2] = ["--disk-reserve-mib", "1000000000000"];

#[test]
fn below_the_reserve_new_tasks_are_refused_and_the_rest_goes_on() {
    let mut hub = Hub::start();
    hub.native().create(&["a", "b", "c", "d", "e"].map(|name| task(name, &[])));
    hub.terminate().exits(0);
    hub.set_args(&RESERVE);
    hub.restart();
    // Said at the start already, before anybody asks for anything.
    eventually("a warning", || hub.stderr().contains("run.db is almost full").then_some(()));

    let native = hub.native();
    let (code, error) = native.error(Body::Create(Create { tasks: vec![task("f", &[])] }));
    assert_eq!(code, ErrorCode::ErrorDisk);
    assert!(error.message.contains("free on the disk"), "{}", error.message);
    assert_eq!(hub.dwork().create("g", &[]), Type::Error);
    let refused = Exit::Refused as i32;
    let says = ["free on the disk", "no new tasks until there is more"];
    hub.query(&["create", "h"]).exits(refused).says(&says).is_one_message();
    hub.write("tasks.txt", "i\nj,i\n");
    hub.query(&["addfile", "tasks.txt"]).exits(refused).says(&says[..1]);
    assert_eq!(native.status().counts.map(|counts| counts.ready), Some(5), "none was added");

    // All that ends what is there.
    let worker = plain_worker("node1");
    let lease = native.steal_one(&worker);
    assert_eq!(native.report(&worker, vec![outcome_done(&lease)]), []);
    assert_eq!(native.state(&lease.name), State::Done);
    let stolen = hub.dwork().steal("node2", 1).expect("a task");
    let stolen: Vec<&str> = stolen.iter().map(String::as_str).collect();
    assert_eq!(hub.dwork().complete("node2", &stolen).r#type(), Type::Ok);
    let name = hub.query(&["steal", "-q"]).ok().trim().to_owned();
    hub.query(&["fail", &name]).exits(0);
    hub.query(&["retry", &name]).exits(0);
    hub.query(&["cancel", &name]).exits(0);
    let name = hub.query(&["steal", "-q"]).ok().trim().to_owned();
    hub.query(&["heartbeat", &name]).exits(0);
    hub.query(&["release", &name]).exits(0);
    for verb in [&["status"][..], &["list", "--all"], &["show", "a"]] {
        hub.query(verb).exits(0);
    }
    let worker = hub.worker(&["-j", "1", "--until-done", "--", "true"]).end();
    worker.exits(Exit::SomeFailed as i32);
    assert_eq!((hub.count("done"), hub.count("cancelled")), (4, 1));

    hub.terminate().exits(0);
    hub.set_args(&["--disk-reserve-mib", "0"]);
    hub.restart();
    hub.query(&["addfile", "tasks.txt"]).exits(0);
    assert!(!hub.stderr().contains("almost full"));
}
