//! Disks that take nothing, whatever is to be written: the same words and the same exit code everywhere.

use std::fs;
use std::sync::OnceLock;

use dhub_proto::exit::Exit;
use e2e::{Hub, Output, Process, Space, task};

use crate::load::big_task;
use crate::redo;

const FULL: &str = ": the disk is full; make space there and do it again";
const READ_ONLY: &str = ": the file system is read-only; ";

/// Where a disk of one's own can be mounted, and how; None: here nobody may.
pub fn unshare() -> Option<&'static str> {
    static HOW: OnceLock<Option<&str>> = OnceLock::new();
    *HOW.get_or_init(|| {
        let space = Space::new();
        let script = "mount -t tmpfs -o size=64k tmpfs .";
        let works = |how: &&&str| space.run("unshare", &[how, "sh", "-c", script]).code == Some(0);
        ["-m", "-rm"].iter().find(works).copied()
    })
}

/// Runs this with a disk of these options mounted at `small`, and with programs that are under test in its path.
/// None, and loudly, where that cannot be.
fn on_small(space: &Space, options: &str, script: &str) -> Option<Output> {
    let Some(how) = unshare() else {
        eprintln!("SKIPPED: no disk can be mounted here, neither as root nor by unshare -rm");
        return None;
    };
    fs::create_dir_all(space.path("small")).expect("a directory");
    let mount = format!("mount -t tmpfs -o mode=700,{options} tmpfs small || exit 99\n{script}");
    let mut command = space.command("unshare");
    command.args([how, "sh", "-c", &mount]);
    Some(Process::start(command).end())
}

/// Ends like all that meets a disk of this kind, with nothing but this message.
#[track_caller]
fn says_so(output: Option<Output>, name: &str, fault: &str) {
    let Some(output) = output else { return };
    output.exits(Exit::Disk as i32).says(&[&format!("{name}{fault}")]);
    assert!(!output.stderr.contains("backup"), "{output:#?}");
    assert!(!output.stderr.contains("panicked"), "{output:#?}");
    assert!(!output.stderr.contains("SQL"), "{output:#?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
}

#[test]
fn a_new_hub_says_that_its_disk_is_full() {
    for kib in [4, 8, 16, 32] {
        let space = Space::new();
        let output = on_small(&space, &format!("size={kib}k"), "exec dhub -f small/run.db --local");
        says_so(output, "small/run.db", FULL);
    }
}

#[test]
fn a_file_system_that_cannot_be_written_is_named_with_the_file() {
    let space = Space::new();
    let new = on_small(&space, "ro", "exec dhub -f small/run.db --local");
    says_so(new, "small/run.db", READ_ONLY);
    let keys = on_small(&space, "ro", "exec dhub -f run.db --local --dir small");
    says_so(keys, "small/run-", "");
    // Whoever may mount is root there.
    let hub = "XDG_RUNTIME_DIR= TMPDIR=$PWD/small exec dhub -f run.db --local";
    says_so(on_small(&space, "ro", hub), "small/dhub-0", READ_ONLY);
    let there = format!("mkdir -m 700 small/dhub-0 && mount -o remount,ro small && {hub}");
    says_so(on_small(&space, "size=1m", &there), ".sock", READ_ONLY);
}

/// A hub was killed, and there is no room to fold what its log has.
#[test]
fn a_start_without_room_is_not_taken_for_damage_and_goes_on_once_there_is_some() {
    let killed = redo::killed(3);
    let space = killed.damaged("run.db", |_| {});
    let full =
        "cp -p run.db run.db-wal run.db.redo small/ && cat /dev/zero > small/zeros 2> zeros.txt
        truncate -s -8K small/zeros";
    for args in ["-f small/run.db --local", "check small/run.db", "backup small/run.db copy.db"] {
        let output = on_small(&space, "size=4m", &format!("{full}\nexec dhub {args}"));
        says_so(output, "small/run.db", FULL);
    }
    let script = format!(
        "{full}\ndhub check small/run.db 2> first.txt; rm small/zeros; exec dhub check small/run.db"
    );
    if let Some(output) = on_small(&space, "size=4m", &script) {
        output.exits(0).prints(&["sound", &killed.said()]);
    }
}

/// Starts a hub on `small/run.db` in the background and waits until it listens.
const HUB: &str =
    ": > hub.txt; dhub -f small/run.db --local --disk-reserve-mib 0 2> hub.txt & hub=$!
until grep -q 'your tools' hub.txt; do kill -0 $hub || exit 98; sleep 0.02; done
";

/// It locks the file, and moves its logs into it if there are any.
#[test]
fn a_look_at_a_file_needs_no_room_and_says_what_it_needs_of_a_disk_that_is_read_only() {
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    hub.terminate().exits(0);
    let full = "cp -p run.db small/; cat /dev/zero > small/zeros 2> zeros.txt\n";
    let check = "exec dhub check small/run.db";
    if let Some(output) = on_small(&hub.space, "size=1m", &format!("{full}{check}")) {
        output.exits(0).prints(&["sound; 1 task"]);
    }
    let read_only = "cp -p run.db small/; mount -o remount,ro small\n";
    for verb in [check, "exec dhub backup small/run.db copy.db"] {
        let output = on_small(&hub.space, "size=1m", &format!("{read_only}{verb}"));
        let Some(output) = output else { return };
        output.exits(Exit::Disk as i32);
        output.says(&["small/run.db cannot be locked", "read-only", "small/run.db-wal and"]);
    }
}

#[test]
fn a_hub_whose_disk_gets_full_says_it_and_goes_on_once_there_is_room() {
    let space = Space::new();
    // More than its disk has, and about a megabyte of it each time.
    let line = format!("{{\"name\":\"tN\",\"command\":\"{}\"}}", "x".repeat(2000));
    let tasks: Vec<_> = (0..4000).map(|n| line.replace("tN", &format!("t{n}"))).collect();
    space.write("tasks.jsonl", tasks.join("\n"));
    let script = format!(
        "{HUB}
dquery --timeout 5s addfile tasks.jsonl > told.txt 2>&1
wait $hub; code=$?
[ $code = 24 ] || exit 97
grep -q \"cannot commit: $PWD/small/run.db.*: the disk is full; make space there\" hub.txt || exit 95
grep -q 'start the hub again: dhub -f small/run.db' hub.txt || exit 94
mount -o remount,size=100m small
{HUB}
dquery addfile tasks.jsonl || exit 96
kill $hub; wait $hub
exec dhub check small/run.db"
    );
    let Some(output) = on_small(&space, "size=3m", &script) else { return };
    output.exits(0).prints(&["sound; 4000 tasks"]);
}

#[test]
fn a_file_that_is_gone_from_a_full_disk_is_saved_elsewhere() {
    let space = Space::new();
    let script = format!(
        "mkdir tmp; export TMPDIR=$PWD/tmp
{HUB}
dquery create a > told.txt; cat /dev/zero > small/zeros 2> zeros.txt; rm small/run.db
wait $hub; [ $? = 27 ] || exit 97
exec dhub check tmp/run.db.saved-*"
    );
    let Some(output) = on_small(&space, "size=3m", &script) else { return };
    output.exits(0).prints(&["sound; 1 task"]);
}

#[test]
fn copies_keys_and_reports_say_it_in_the_same_words() {
    let space = Space::new();
    let start = HUB.replace("small/run.db", "run.db");
    let stop = "code=$?; kill $hub; wait $hub; exit $code";
    let full = "cat /dev/zero > small/zeros 2> zeros.txt";
    for (verb, name) in [
        ("dquery backup small/copy.db", "small/copy.db"),
        ("dquery report small/page.html", "cannot write small/page.html"),
        ("dquery export --joblog small/log", "cannot write small/log"),
        ("dquery list > /dev/full", "cannot write to standard output"),
        ("dhub access new a --role submit --to small/a.access", "small/a.access"),
    ] {
        let script = format!("{start}dquery create a > told.txt\n{full}\n{verb}\n{stop}");
        says_so(on_small(&space, "size=64k", &script), name, FULL);
    }
    for (verb, name) in [
        ("dhub backup run.db small/copy.db", "small/copy.db"),
        ("dhub rescue run.db small/copy.db", "small/copy.db"),
        ("dhub access list > /dev/full", "standard output"),
        ("dhub check run.db > /dev/full", "standard output"),
        ("dhub backup run.db other.db > /dev/full", "standard output"),
    ] {
        says_so(on_small(&space, "size=16k", &format!("{full}\nexec {verb}")), name, FULL);
    }
    // Where nothing can be made at all, not even what a copy grows in.
    for (options, fault) in [("ro", READ_ONLY), ("nr_inodes=1", FULL)] {
        for verb in ["dhub backup run.db", "dhub rescue run.db", "exec dhub -f"] {
            let output = on_small(&space, options, &format!("{verb} small/copy.db"));
            says_so(output, "small/copy.db", fault);
        }
        for verb in ["backup", "report", "export --joblog"] {
            let script = format!("{start}dquery {verb} small/copy.db\n{stop}");
            says_so(on_small(&space, options, &script), "small/copy.db", fault);
        }
    }
}

/// SQLite has one word for all that is not a full disk, as for a quota.
#[test]
fn why_a_copy_takes_no_more_is_told_in_the_words_of_the_system() {
    let mut hub = Hub::start();
    let tasks: Vec<_> = (0..300).map(|n| big_task(&format!("t{n}"))).collect();
    hub.native().create(&tasks);
    hub.terminate().exits(0);
    for verb in ["backup", "rescue"] {
        let script = format!("ulimit -f 1000; exec dhub {verb} run.db copy.db");
        let said = hub.space.run("sh", &["-c", &script]);
        said.exits(Exit::Disk as i32).says(&["copy.db: it may not grow any more"]);
        assert_eq!(said.stderr.lines().count(), 1, "{said:#?}");
        assert!(!hub.path("copy.db").exists());
    }
}

#[test]
fn a_pool_says_where_output_cannot_go() {
    let space = Space::new();
    let start = HUB.replace("small/run.db", "run.db");
    let script = format!(
        "{start}dquery create a > told.txt
kworker --until-done --output small/ -- true 2> pool.txt & pool=$!
until grep -q 'cannot start' pool.txt; do kill -0 $pool || exit 98; sleep 0.02; done
kill $pool; wait $pool; kill $hub; wait $hub; cat pool.txt"
    );
    let Some(output) = on_small(&space, "ro", &script) else { return };
    output.exits(0).prints(&["its output goes to ", "small/a.1.out", READ_ONLY]);
}
