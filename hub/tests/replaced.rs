//! A file beside the logs of another state of it: a start finds all that was committed by the time of the logs, or it is
//! refused. SQLite by itself makes a mixture of both.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use dhub::engine::message::*;
use dhub::engine::scheduler::Counts;
use dhub::store::{Access, OpenError, Rescued, Store, beside, rescue};
use dhub_proto::private::Mode;
use tempfile::TempDir;

const ENDS: [&str; 3] = ["", "-wal", ".redo"];

/// In memory, if there is such a place: a thousand starts say nothing of a disk.
fn new_dir() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory")
}

/// A file and its logs, as a kill or a stop would leave them at some time.
struct Moment {
    what: String,
    files: [Option<Vec<u8>>; 3],
    tasks: u64,
}

impl Moment {
    fn of(file: &Path, what: String, tasks: u64) -> Self {
        Self { what, files: ENDS.map(|end| fs::read(beside(file, end)).ok()), tasks }
    }

    fn has(&self, end: usize) -> bool {
        self.files[end].as_ref().is_some_and(|bytes| !bytes.is_empty())
    }
}

/// A file of this moment beside logs of another one.
fn mix(file: &Moment, wal: Option<&Moment>, redo: Option<&Moment>) -> (TempDir, PathBuf) {
    let dir = new_dir();
    let path = dir.path().join("run.db");
    let from = [Some(file), wal, redo];
    for (at, moment) in from.into_iter().enumerate() {
        if let Some(bytes) = moment.and_then(|moment| moment.files[at].as_ref()) {
            fs::write(beside(&path, ENDS[at]), bytes).expect("a file");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(beside(&path, ENDS[at]), mode).expect("a mode");
        }
    }
    (dir, path)
}

/// A task a turn, of each third the tables are written, and of all of them now and then; by four hubs, of which
/// one is stopped, and one is killed. The log of SQLite's is moved into the file each few turns.
fn moments(dir: &Path) -> Vec<Moment> {
    let file = dir.join("run.db");
    let access = Access { alone: true, checkpoint_pages: 20, ..Access::default() };
    let open = || Store::open_with(&file, "now", access).expect("it opens").store;
    let mut store = open();
    let mut moments = Vec::new();
    for turn in 1..=30 {
        match turn {
            10 | 26 => {
                store.close().expect("a clean stop");
                moments.push(Moment::of(&file, format!("stopped before turn {turn}"), turn - 1));
                store = open();
            }
            18 => {
                drop(store);
                moments.push(Moment::of(&file, format!("killed before turn {turn}"), turn - 1));
                store = open();
                moments.push(Moment::of(&file, format!("started before turn {turn}"), turn - 1));
            }
            _ => {}
        }
        let command = Some(format!("run {}", "x".repeat(turn as usize * 131 % 1500)).into());
        let details = Some(Box::new(Details { command, ..Details::default() }));
        let new = Box::new(NewTask { details, ..task(&format!("t{turn}"), &[]) });
        let changes =
            vec![Change::Added { id: turn, task: new, needs: Vec::new(), adopted: false }];
        store.commit(changes, &Counts::default()).expect("a commit");
        if turn % 3 == 0 {
            store.settle().expect("it is folded");
        }
        store.note().expect("a note");
        moments.push(Moment::of(&file, format!("turn {turn}"), turn));
    }
    moments
}

/// The tasks that a start finds; an error: it is refused.
fn started(file: &Path) -> Result<u64, OpenError> {
    let opened = Store::open(file, "now", false)?;
    assert_eq!(opened.store.check().expect("a look"), [""; 0]);
    opened.store.close().expect("a clean stop");
    let db = dhub_checksum::open(file, Default::default(), None).expect("a database");
    let sql = "SELECT count(*), coalesce(max(id), 0) FROM tasks";
    let found = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (count, last): (i64, i64) = found.expect("a number");
    assert_eq!(count, last, "each task before the last one");
    Ok(count as u64)
}

#[test]
fn a_file_beside_the_logs_of_another_time_is_refused_or_makes_no_difference() {
    let dir = new_dir();
    let moments = moments(dir.path());
    let (mut refused, mut whole) = (0, 0);
    for logs in &moments {
        for file in &moments {
            let is_own = std::ptr::eq(file, logs);
            for (wal, redo) in [(true, true), (true, false), (false, true)] {
                let of = |is: bool| Some(logs).filter(|_| is);
                // Without any there is nothing to tell it by: it is an older file.
                if !(wal && logs.has(1) || redo && logs.has(2)) {
                    continue;
                }
                let (_dir, path) = mix(file, of(wal), of(redo));
                let what = format!(
                    "file of {}, beside {} of {}",
                    file.what,
                    match (wal, redo) {
                        (true, true) => "both logs",
                        (true, false) => "SQLite's log",
                        _ => "the redo log",
                    },
                    logs.what
                );
                match started(&path) {
                    Ok(tasks) => {
                        assert!(tasks >= logs.tasks, "{what}: {tasks}");
                        // A newer file may need nothing of older logs.
                        let is_newer = file.tasks > logs.tasks;
                        assert!(is_newer || tasks == logs.tasks, "{what}: {tasks}");
                        whole += 1;
                    }
                    Err(error) => {
                        assert!(!(is_own && wal && redo), "{what}: {error}");
                        let text = error.to_string();
                        assert!(text.contains("dhub rescue") || text.contains("away"), "{text}");
                        refused += 1;
                    }
                }
            }
        }
    }
    println!("{refused} refused, {whole} whole");
    assert!(refused > 1000 && whole >= moments.len());
}

#[test]
fn a_copy_opens_by_itself_and_not_beside_the_logs_of_a_hub() {
    let dir = new_dir();
    let moments = moments(dir.path());
    for at in [4, 12, 22] {
        let tasks = moments[at].tasks;
        let (_dir, path) = mix(&moments[at], Some(&moments[at]), Some(&moments[at]));
        let copy = path.with_file_name("copy.db");
        let opened = Store::open(&path, "now", false).expect("it opens");
        dhub::store::copy_file(&opened.store, &copy, Mode::PRIVATE).expect("a copy");
        drop(opened);
        let copy = Moment::of(&copy, "a copy".into(), tasks);
        for logs in moments.iter().filter(|logs| logs.has(1)) {
            for redo in [None, Some(logs)] {
                let (_dir, path) = mix(&copy, Some(logs), redo);
                let error = started(&path).expect_err(&logs.what).to_string();
                assert!(
                    error.contains("run.db is not what ") || error.contains("is not of"),
                    "{error}"
                );
                let rescued = saved(&path);
                let told = rescued.doubt.iter().any(|line| line.contains("run.db-wal is not of"));
                assert!(told && rescued.used[0].ends_with("run.db"), "{rescued:?}");
            }
        }
        let (_dir, path) = mix(&copy, None, None);
        assert_eq!(started(&path).expect("it opens"), tasks, "{}", moments[at].what);
    }
}

fn saved(file: &Path) -> Rescued {
    let to = file.with_file_name("saved.db");
    let rescued = rescue(file, &to, Mode::PRIVATE, "now").expect("something");
    let store = Store::open(&to, "now", false).expect("it opens").store;
    assert_eq!(store.check().expect("a look"), [""; 0]);
    rescued
}

#[test]
fn a_rescue_takes_the_older_file_by_itself_and_names_what_it_does_not_use() {
    let dir = new_dir();
    let moments = moments(dir.path());
    let (old, new) = (&moments[3], moments.last().expect("one"));
    assert!(new.has(1));
    let (_dir, path) = mix(old, Some(new), Some(new));
    let rescued = saved(&path);
    assert!(!rescued.is_whole());
    assert!(
        rescued.doubt.iter().any(|line| line.contains("nothing of it was used")),
        "{rescued:?}"
    );
    assert!(rescued.used.contains(&path) && !rescued.used.contains(&beside(&path, "-wal")));
    // By themselves, the logs say what they can.
    fs::remove_file(&path).expect("it is moved away");
    fs::remove_file(path.with_file_name("saved.db")).expect("the first one");
    let rescued = saved(&path);
    assert!(rescued.used.contains(&beside(&path, "-wal")), "{rescued:?}");
    // And of a file with its own logs nothing is in doubt.
    let (_dir, path) = mix(new, Some(new), Some(new));
    let rescued = saved(&path);
    assert!(rescued.is_whole(), "{rescued:?}");
    assert_eq!(rescued.used, ENDS.map(|end| beside(&path, end)));
}

/// With --network-file, a transaction that was cut off: what it goes back to is not of an older file.
#[test]
fn a_journal_is_rolled_back_into_no_older_file() {
    let dir = new_dir();
    let file = dir.path().join("run.db");
    let mut store = Store::open(&file, "now", true).expect("it opens").store;
    let add = |store: &mut Store, id| {
        let task = Box::new(task(&format!("t{id}"), &[]));
        let changes = vec![Change::Added { id, task, needs: Vec::new(), adopted: false }];
        store.commit(changes, &Counts::default()).expect("a commit");
        store.settle().expect("it is folded");
    };
    (1..=5).for_each(|id| add(&mut store, id));
    let old = fs::read(&file).expect("the file");
    (6..=9).for_each(|id| add(&mut store, id));
    store.close().expect("a clean stop");
    let own = fs::read(&file).expect("the file");
    let db = dhub_checksum::open(&file, Default::default(), None).expect("a database");
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 2; BEGIN; UPDATE meta SET value = 10 WHERE key = 'turn';
         INSERT INTO tasks (name, state, created_ms, command)
         WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
         SELECT 'more ' || i, 2, 0, zeroblob(3000) FROM n",
    )
    .expect("a transaction");
    let (half, journal) = (fs::read(&file), fs::read(beside(&file, "-journal")));
    let (half, journal) = (half.expect("the file"), journal.expect("the journal"));
    drop(db);
    let put = |bytes: &[u8]| {
        let dir = new_dir();
        let path = dir.path().join("run.db");
        for (path, bytes) in [(path.clone(), bytes), (beside(&path, "-journal"), &journal[..])] {
            fs::write(&path, bytes).expect("a file");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(path, mode).expect("a mode");
        }
        (dir, path)
    };
    for bytes in [&half, &own] {
        let (_dir, path) = put(bytes);
        assert_eq!(started(&path).expect("it is rolled back"), 9);
    }
    let (_dir, path) = put(&old);
    let error = started(&path).expect_err("an older file").to_string();
    assert!(error.contains("run.db is not what ") && error.contains("run.db-journal"), "{error}");
    assert!(fs::read(&path).expect("the file") == old, "it is as it was");
    let rescued = saved(&path);
    assert!(
        rescued.doubt.iter().any(|line| line.contains("run.db-journal is not of")),
        "{rescued:?}"
    );
}

/// The last turn that the tables have.
fn turn_of(file: &Path) -> u64 {
    let db = dhub_checksum::open(file, Default::default(), None).expect("a database");
    let sql = "SELECT value FROM meta WHERE key = 'turn'";
    db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a turn") as u64
}

#[test]
fn an_older_redo_log_beside_newer_tables_is_refused_and_a_rescue_says_so() {
    let dir = new_dir();
    let moments = moments(dir.path());
    let mut refused = 0;
    for (at, file) in moments.iter().enumerate().filter(|(_, file)| file.has(2)) {
        let (_dir, path) = mix(file, Some(file), Some(file));
        let turn = turn_of(&path);
        for older in moments[..at].iter().filter(|older| older.has(2)) {
            let (dir, path) = mix(file, Some(file), Some(older));
            let what = format!("file of {}, redo log of {}", file.what, older.what);
            // A log that ends one turn before the tables may be their own.
            let is_told = older.tasks + 1 < turn && file.tasks > turn;
            let to = dir.path().join("saved.db");
            let rescued = rescue(&path, &to, Mode::PRIVATE, "now").expect("a rescue");
            match started(&path) {
                Ok(tasks) => assert!(!is_told, "{what}: {tasks} tasks, {} before", file.tasks),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("run.db.redo") && text.contains("dhub rescue"), "{text}");
                    refused += 1;
                }
            }
            assert!(!is_told || !rescued.is_whole(), "{what}: {rescued:?}");
        }
    }
    println!("{refused} refused");
    assert!(refused > 50);
}
