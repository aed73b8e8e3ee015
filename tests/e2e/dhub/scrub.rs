//! Damage that no start meets: mended by it all the same, or told.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use e2e::{Hub, eventually, outcome_done, outcome_failed, worker};

use crate::damage::commands;
use crate::redo::PAGE;

/// Tasks with commands, of which the first are done.
fn finished(tasks: usize, done: usize) -> Hub {
    let hub = Hub::start();
    commands(&hub, tasks);
    let native = hub.native();
    for _ in 0..done {
        let lease = native.steal_one(&worker(1));
        assert_eq!(native.report(&worker(1), vec![outcome_done(&lease)]), []);
    }
    hub
}

/// The pages with the commands of these tasks are overwritten as a whole; how many.
pub fn overwrite(file: &Path, numbers: &[u32]) -> usize {
    let mut bytes = fs::read(file).expect("the file");
    let texts: Vec<_> = numbers.iter().map(|number| format!("echo number {number}")).collect();
    let has = |page: &[u8], text: &String| page.windows(text.len()).any(|it| it == text.as_bytes());
    let pages = bytes.chunks_mut(PAGE).filter(|page| texts.iter().any(|text| has(page, text)));
    let count = pages.map(|page| page.fill(0xA5)).count();
    assert!(count > 0, "{texts:?}");
    fs::write(file, bytes).expect("written");
    count
}

fn all_is_looked_at(hub: &mut Hub) -> String {
    eventually("the look at all pages", || {
        let said = hub.stderr();
        said.lines().find(|line| line.contains("were looked at")).map(str::to_owned)
    })
}

/// Finished tasks, what is of no use now: no start reads that.
#[test]
fn a_start_mends_all_pages_and_not_only_those_that_it_reads() {
    let mut hub = finished(2_000, 20);
    hub.terminate().exits(0);
    let file = hub.path("run.db");
    let mut bytes = fs::read(&file).expect("the file");
    bytes.chunks_mut(PAGE).for_each(|page| page[1000] ^= 4);
    let pages = bytes.len() / PAGE;
    fs::write(&file, &bytes).expect("written");
    let check = hub.space.run("dhub", &["check", "run.db"]);
    let more =
        format!("and {} more pages, each with one wrong byte, which a hub mends", pages - 20);
    check.exits(22).is_one_message().says(&["a start mends it", &more]);
    hub.restart();
    // Some were mended before, where they were read.
    assert!(all_is_looked_at(&mut hub).contains(" 0 are damaged"), "{}", hub.stderr());
    assert_eq!(hub.native().status().damaged_pages, 0);
    hub.kill9();
    hub.space.run("dhub", &["check", "run.db"]).exits(0).prints(&["sound"]);
}

#[test]
fn finished_tasks_that_cannot_be_read_are_told_and_keep_their_names() {
    let mut hub = finished(400, 200);
    hub.terminate().exits(0);
    assert_eq!(overwrite(&hub.path("run.db"), &[150]), 1);
    hub.restart();
    assert!(all_is_looked_at(&mut hub).contains(" 1 are damaged"), "{}", hub.stderr());
    let listed = hub.query(&["list", "--all", "--json"]);
    assert!(listed.ok().contains("\"t150\"") && !listed.stdout.contains("cannot be read,"));
    assert_eq!((hub.state("t150").as_str(), hub.count("done")), ("done", 200));
    let status = hub.query(&["status"]);
    status.exits(0).prints(&["damage", "1 page of the hub's file cannot be read", "dhub check"]);
    let status = hub.query(&["status", "--json"]).json();
    assert_eq!((&status["damaged_pages"], &status["lost"]), (&1.into(), &0.into()));
    let again = hub.query(&["retry", "--done", "t150", "t200"]);
    again.exits(6).says(&["t150", "its definition is damaged", "under another name"]);
    assert_eq!([hub.state("t150"), hub.state("t200")], ["done", "ready"]);
}

/// `show` does not send people round in a circle.
#[test]
fn a_retry_of_a_damaged_task_says_why_not_and_show_does_not_propose_it() {
    let mut hub = finished(400, 0);
    hub.native().create(&[e2e::task("after", &["t200"])]);
    hub.terminate().exits(0);
    overwrite(&hub.path("run.db"), &[200]);
    hub.restart();
    for (name, way_on) in [("t200", "add it again under another name"), ("after", "add both again")]
    {
        let shown = hub.query(&["show", name]);
        shown.exits(0).prints(&[way_on]);
        assert!(!shown.stdout.contains("dquery retry"), "{shown:?}");
    }
    let retried = hub.query(&["retry", "t200"]);
    retried.exits(6).prints(&["0 tasks"]).says(&[
        "t200",
        "its definition is damaged",
        "another name",
    ]);
    let status = hub.query(&["status"]);
    assert!(!status.ok().contains("retry --failed"), "{status:?}");
    // One that can be tried again among those that cannot.
    let native = hub.native();
    let lease = native.steal_one(&worker(1));
    assert_eq!(native.report(&worker(1), vec![outcome_failed(&lease)]), []);
    hub.query(&["status"]).exits(0).prints(&["retry --failed"]);
    let lost = hub.query(&["status", "--json"]).json()["lost"].as_u64().expect("a count");
    let retried = hub.query(&["retry", "--failed", "--json"]);
    retried.exits(6);
    let said = retried.json();
    assert_eq!(said["retried"], 1);
    assert_eq!(said["refused"].as_array().map(Vec::len), Some(lost as usize));
}

/// The index of the names has it: what is to be retried first is called as everybody calls it.
#[test]
fn a_dependency_that_cannot_be_read_is_told_by_its_name() {
    let mut hub = finished(400, 0);
    hub.native().create(&[e2e::task("after", &["t200"])]);
    hub.query(&["cancel", "after"]).exits(0);
    hub.terminate().exits(0);
    overwrite(&hub.path("run.db"), &[200]);
    hub.restart();
    let retried = hub.query(&["retry", "after"]);
    retried.exits(6).says(&["it needs 't200', which has failed"]);
    assert!(!retried.stderr.contains("cannot be read"), "{retried:?}");
}

/// What a start and those who ask read again and again is said of a page once; and a check lists it once.
#[test]
fn each_damaged_page_is_told_once() {
    let mut hub = finished(400, 200);
    hub.terminate().exits(0);
    let file = hub.path("run.db");
    assert_eq!(overwrite(&file, &[150]) + overwrite(&file, &[300]), 2);
    hub.restart();
    hub.query(&["create", "one more"]).ok();
    // A log beside the file: a start looks at the file more than once.
    hub.kill9();
    let check = hub.space.run("dhub", &["check", "run.db"]);
    assert!(!check.stderr.contains("WARN"), "{check:?}");
    hub.restart();
    for _ in 0..2 {
        hub.query(&["list", "--all"]).ok();
        hub.query(&["show", "t150"]).ok();
    }
    all_is_looked_at(&mut hub);
    let end = hub.terminate();
    let told =
        end.stderr.lines().filter(|line| line.contains(" is damaged") && line.contains("WARN"));
    let told: Vec<_> =
        told.filter_map(|line| line.split_once(": ").map(|(_, what)| what)).collect();
    let pages: Vec<_> = told.iter().filter(|what| what.starts_with("page ")).collect();
    assert_eq!(pages.len(), 2, "{end:?}");
    assert_eq!(pages.iter().collect::<BTreeSet<_>>().len(), 2, "{end:?}");
}
