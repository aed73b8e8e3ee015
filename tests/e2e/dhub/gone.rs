//! The hub's files removed, moved, replaced or cut while it runs: it stops, and what it acknowledged is in a new
//! file. Files that are left of one that is gone are never taken for those of a new hub.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use dhub_proto::exit::Exit;
use e2e::{Hub, Output, Process, Space, task};
use rustix::process::Signal;

use crate::load::work_until_it_stops;
use crate::redo;

type Act = fn(&Path);

fn remove(path: &Path) {
    fs::remove_file(path).expect("the file");
}

fn move_away(path: &Path) {
    fs::rename(path, path.with_file_name("away")).expect("the file");
}

fn replace(path: &Path) {
    let other = path.with_file_name("other");
    fs::copy(path, &other).expect("a copy");
    fs::rename(other, path).expect("the file");
}

fn cut(path: &Path) {
    let file = File::options().write(true).open(path).expect("the file");
    file.set_len(file.metadata().expect("the file").len() / 3).expect("its size");
}

pub const ACTS: [(&str, Act); 4] = [
    ("was removed", remove),
    ("was moved away", move_away),
    ("was replaced", replace),
    ("was cut from", cut),
];

/// The file that the hub says it saved all in; both in its log and as its last word.
#[track_caller]
pub fn saved(end: &Output) -> PathBuf {
    end.exits(Exit::FileGone as i32);
    assert!(!end.stderr.contains("panicked"), "{end:?}");
    let names = end.stderr.split_whitespace().filter(|word| word.contains(".saved-"));
    let mut names: Vec<_> = names.collect();
    assert_eq!(end.stderr.matches("while this hub was running").count(), 1, "{end:?}");
    assert!(names.len() >= 3, "{end:?}");
    names.dedup();
    assert_eq!(names.len(), 1, "{end:?}");
    names[0].into()
}

/// A hub goes on with it.
#[track_caller]
pub fn goes_on(saved: &Path) -> Hub {
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(saved).expect("the file"));
    assert_eq!(mode & 0o777, 0o600);
    let hub = Hub::on(saved, &[]);
    fs::copy(saved, hub.path("saved.db")).expect("a copy");
    hub.space.run("dhub", &["check", "saved.db"]).exits(0).prints(&["sound"]);
    hub
}

fn each_act_is_noticed(end: &str) {
    for (what, act) in ACTS {
        let mut hub = Hub::start();
        let path = hub.path(&format!("run.db{end}"));
        let told = work_until_it_stops(&mut hub, |round| {
            if round == 40 {
                act(&path);
            }
        });
        assert!(told.created.len() >= 200 && told.done.len() >= 80, "{}", told.created.len());
        let output = hub.end();
        output.says(&[&format!("run.db{end} {what}")]);
        let saved = saved(&output);
        assert_eq!(saved.parent().map(Path::to_owned), real(hub.path("")));
        told.is_kept_by(&goes_on(&saved).native());
    }
}

#[test]
fn whatever_is_done_to_the_file_nothing_that_was_acknowledged_is_lost() {
    each_act_is_noticed("");
}

#[test]
fn whatever_is_done_to_sqlites_log_nothing_that_was_acknowledged_is_lost() {
    each_act_is_noticed("-wal");
}

#[test]
fn whatever_is_done_to_the_redo_log_nothing_that_was_acknowledged_is_lost() {
    each_act_is_noticed(".redo");
}

#[test]
fn whatever_is_done_to_the_lock_nothing_that_was_acknowledged_is_lost() {
    each_act_is_noticed(".lock");
}

#[test]
fn a_hub_that_nobody_asks_anything_notices_too() {
    let mut hub = Hub::start();
    remove(&hub.path("run.db"));
    let end = hub.end();
    goes_on(&saved(&end)).native().create(&[task("a", &[])]);
}

/// A busy machine may be late; one time in ten it is not.
#[test]
fn it_is_noticed_within_a_second() {
    for end in ["", ".redo"] {
        let took = |_| {
            let mut hub = Hub::start();
            let began = Instant::now();
            remove(&hub.path(&format!("run.db{end}")));
            hub.end().exits(Exit::FileGone as i32);
            began.elapsed()
        };
        let all: Vec<_> = (0..10).map(took).take_while(|it| *it > Duration::from_secs(1)).collect();
        assert!(all.len() < 10, "run.db{end}: {all:?}");
    }
}

#[test]
fn a_stop_that_comes_first_looks_before_it_says_that_all_is_well() {
    for end in ["", "-wal", ".redo", ".lock"] {
        let mut hub = Hub::start();
        let names: Vec<String> = (0..300).map(|n| format!("t{n}")).collect();
        let tasks: Vec<_> = names.iter().map(|name| task(name, &[])).collect();
        hub.native().create(&tasks);
        remove(&hub.path(&format!("run.db{end}")));
        let output = hub.terminate();
        assert_eq!(goes_on(&saved(&output)).count("ready"), 300);
    }
}

#[test]
fn with_the_journal_of_network_files_it_is_the_same() {
    for end in ["", "-journal", ".redo"] {
        for (_, act) in
            ACTS.into_iter().filter(|(what, _)| end != "-journal" || !what.contains("cut"))
        {
            let mut hub = Hub::with(&["--network-file"]);
            let path = hub.path(&format!("run.db{end}"));
            let acted = std::cell::Cell::new(false);
            let told = work_until_it_stops(&mut hub, |round| {
                // A journal comes with the first commit of the tables, and the hub knows it from the next one on.
                if round % 40 == 39 && path.exists() && !acted.replace(true) {
                    std::thread::sleep(Duration::from_millis(100));
                    act(&path);
                }
            });
            told.is_kept_by(&goes_on(&saved(&hub.end())).native());
        }
    }
}

/// A hub on `below/run.db` with one task, whose other places for files are `tmp` and `home`.
fn below(space: &Space) -> Process {
    fs::create_dir(space.path("below")).expect("a directory");
    fs::create_dir(space.path("home")).expect("a directory");
    let mut hub = Process::start(at_home(space, "dhub", &["-f", "below/run.db", "--local"]));
    hub.hear("your tools find it");
    Process::start(at_home(space, "dquery", &["create", "a"])).end().exits(0);
    hub
}

fn at_home(space: &Space, program: &str, args: &[&str]) -> Command {
    let mut command = space.command(program);
    command.env("TMPDIR", space.path("tmp")).env("HOME", space.path("home")).args(args);
    command
}

fn real(path: PathBuf) -> Option<PathBuf> {
    path.canonicalize().ok()
}

#[test]
fn in_a_directory_that_was_moved_it_is_saved_there() {
    let space = Space::new();
    let hub = below(&space);
    fs::rename(space.path("below"), space.path("other")).expect("another name");
    let end = hub.end();
    end.says(&["or a directory above it"]);
    let saved = saved(&end);
    assert_eq!(saved.parent().map(Path::to_owned), real(space.path("other")));
    assert_eq!(goes_on(&saved).count("ready"), 1);
}

#[test]
fn without_a_directory_it_is_saved_where_there_is_room() {
    for place in ["tmp", "home"] {
        let space = Space::new();
        if place == "tmp" {
            fs::create_dir(space.path("tmp")).expect("a directory");
        }
        let hub = below(&space);
        fs::remove_dir_all(space.path("below")).expect("a directory");
        let saved = saved(&hub.end());
        assert_eq!(saved.parent().map(Path::to_owned), real(space.path(place)));
        assert_eq!(goes_on(&saved).count("ready"), 1);
    }
}

#[test]
fn if_it_cannot_be_saved_anywhere_that_is_said_with_each_reason() {
    let space = Space::new();
    let hub = below(&space);
    fs::remove_dir_all(space.path("home")).expect("a directory");
    fs::remove_dir_all(space.path("below")).expect("a directory");
    let end = hub.end();
    end.exits(Exit::FileGone as i32).says(&[
        "it could not be saved: ",
        "/tmp: there is no directory ",
        "/home: there is no directory ",
    ]);
    end.says(&["dhub rescue "]);
}

/// A hub was killed, and its file is not there or has nothing in it.
#[test]
fn what_is_left_of_a_file_is_not_taken_for_that_of_a_new_hub() {
    let killed = redo::killed(1);
    for is_missing in [true, false] {
        for left in [&["-wal", ".redo"][..], &["-wal"], &[".redo"]] {
            let space = killed.damaged("run.db", Vec::clear);
            // A hub that was killed early may have put nothing in it.
            if fs::metadata(space.path("run.db-wal")).map_or(0, |meta| meta.len()) == 0 {
                space.write("run.db-wal", "a frame");
            }
            if is_missing {
                fs::remove_file(space.path("run.db")).expect("the file");
            }
            for end in ["-wal", ".redo"].iter().filter(|end| !left.contains(end)) {
                fs::remove_file(space.path(&format!("run.db{end}"))).expect("the log");
            }
            for args in [&["-f", "run.db"][..], &["check", "run.db"], &["backup", "run.db", "b.db"]]
            {
                let said = space.run("dhub", args);
                said.exits(Exit::FileUnusable as i32).is_one_message();
                said.says(&[if is_missing { "run.db is missing" } else { "run.db is empty" }]);
                said.says(&["put the file back", "dhub rescue ", "away first"]);
                let it = if left.len() == 1 { "is in it\n" } else { "is in them\n" };
                said.says(&[it]);
                for end in left {
                    said.says(&[&format!("run.db{end}")]);
                }
                assert_eq!(space.path("run.db").exists(), !is_missing);
            }
            // As it is told: without them it is a new one.
            left.iter().for_each(|end| {
                let name = format!("run.db{end}");
                fs::rename(space.path(&name), space.path(&format!("away{end}"))).expect("a log");
            });
            let mut command = space.command("dhub");
            command.args(["-f", "run.db", "--local"]);
            let mut hub = Process::start(command);
            hub.hear("run.db: new");
        }
    }
}

#[test]
fn while_a_hub_runs_without_its_file_no_other_one_begins_a_new_one() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    hub.signal(Signal::STOP);
    remove(&hub.path("run.db"));
    hub.space.run("dhub", &["-f", "run.db"]).exits(Exit::FileInUse as i32).is_one_message();
    hub.signal(Signal::CONT);
    assert_eq!(goes_on(&saved(&hub.end())).count("ready"), 1);
}
