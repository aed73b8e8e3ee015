//! SQLite's log, damaged after a hub was killed, wherever its checkpoints were then: a start finds all
//! that was committed, or it names the log.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use dhub::engine::message::*;
use dhub::engine::scheduler::{Counts, State};
use dhub::store::{Access, OpenError, Rescued, Store, beside, rescue};
use dhub_proto::private::Mode;
use tempfile::TempDir;

const FRAME: usize = 24 + 4096;

/// In memory, if there is such a place: hundreds of starts, each with a dozen syncs, say nothing of a disk.
fn new_dir() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory")
}

/// A hub commits so many turns, folds each few of them, and is killed.
fn killed_after(dir: &Path, turns: u64) -> PathBuf {
    let file = dir.join("run.db");
    let access = Access { alone: true, checkpoint_pages: 30, ..Access::default() };
    let mut store = Store::open_with(&file, "now", access).expect("it opens").store;
    for turn in 1..=turns {
        let mut changes = Vec::new();
        for id in 5 * turn - 4..=5 * turn {
            let command = Some(format!("run {}", "x".repeat(id as usize * 131 % 700)).into());
            let details = Some(Box::new(Details { command, ..Details::default() }));
            let task = Box::new(NewTask { details, ..task(&format!("t{id}"), &[]) });
            changes.push(Change::Added { id, task, needs: Vec::new(), adopted: false });
        }
        if turn > 3 {
            let (task, state, attempt) = (turn, State::Cancelled, 0);
            let (failures, reclaims, blame) = (0, 0, 0);
            changes.push(Change::Finished { task, state, attempt, failures, reclaims, blame });
        }
        let mut counts = Counts::default();
        counts.set(State::Cancelled, turn.saturating_sub(3));
        store.commit(changes, &counts).expect("a commit");
        if turn % 3 == 0 {
            store.settle().expect("it is folded");
        }
        store.note().expect("a note");
    }
    file
}

/// Whatever the file says of tasks, when a start is through.
fn dump(file: &Path) -> Vec<String> {
    let db = dhub_checksum::open(file, Default::default(), None).expect("a database");
    let sql =
        "SELECT id || name || state || coalesce(command, '') || coalesce(needs, '') FROM tasks
        UNION ALL SELECT 'total' || state || count FROM totals ORDER BY 1";
    let mut select = db.prepare(sql).expect("SQL");
    let rows = select.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<rusqlite::Result<_>>().expect("rows")
}

fn copy(from: &Path, to: &Path) -> PathBuf {
    let file = to.join("run.db");
    for end in ["", "-wal", ".redo"] {
        fs::copy(beside(from, end), beside(&file, end)).expect("a copy");
    }
    file
}

/// What a start and a check find; None: it names the log.
fn started(file: &Path, what: &str) -> Option<Vec<String>> {
    match Store::open(file, "now", false) {
        Ok(opened) => {
            assert_eq!(opened.store.check().expect("a look"), [""; 0], "{what}");
            opened.store.close().expect("a clean stop");
            Some(dump(file))
        }
        Err(OpenError::WalDamaged { .. } | OpenError::WalMissing { .. }) => None,
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn no_flip_in_sqlites_log_changes_anything_in_silence() {
    let (mut told, mut harmless, mut saved) = (0, 0, 0);
    for turns in [2, 3, 7, 10, 12, 15, 18, 22, 27] {
        let dir = new_dir();
        let file = killed_after(dir.path(), turns);
        let size = fs::metadata(beside(&file, "-wal")).expect("the log").len() as usize;
        let sound = new_dir();
        let expected = started(&copy(&file, sound.path()), "sound").expect("a sound file");
        // In the header, in each frame's header, and in its page.
        let frames = (0..size.saturating_sub(32) / FRAME).map(|frame| 32 + frame * FRAME);
        let places = frames.flat_map(|at| [at + 3, at + 9, at + 17, at + 24 + at * 7 % 4096]);
        for (i, at) in [1, 13, 18, 25].into_iter().filter(|at| at < &size).chain(places).enumerate()
        {
            let dir = new_dir();
            let file = copy(&file, dir.path());
            let wal = beside(&file, "-wal");
            let mut bytes = fs::read(&wal).expect("the log");
            bytes[at] ^= 1 << (i % 8);
            fs::write(&wal, bytes).expect("the log");
            let what = format!("{turns} turns, byte {at} of {size}");
            let to = dir.path().join("saved.db");
            if i % 5 == 0 {
                let rescued = rescue(&file, &to, Mode::PRIVATE, "now").expect("a rescue");
                if rescued.is_whole() {
                    assert_eq!(dump(&to), expected, "{what}");
                    saved += 1;
                }
            }
            match started(&file, &what) {
                Some(found) => {
                    assert_eq!(found, expected, "{what}");
                    harmless += 1;
                }
                None => told += 1,
            }
        }
    }
    println!("{told} told, {harmless} harmless; {saved} saved whole");
    // What is in the file already is not left in the log.
    assert!(told > 50 && saved > 20);
}

/// The tasks that the index of open ones has and the table does not, or the other way round.
fn strays(file: &Path) -> i64 {
    let db = dhub_checksum::open(file, Default::default(), None).expect("a database");
    let indexed = "SELECT state, id FROM tasks INDEXED BY tasks_undone WHERE state <> 5";
    let there = "SELECT state, id FROM tasks NOT INDEXED WHERE state <> 5";
    let sql = format!(
        "SELECT (SELECT count(*) FROM ({indexed} EXCEPT {there}))
            + (SELECT count(*) FROM ({there} EXCEPT {indexed}))"
    );
    db.query_row(&sql, [], |row| row.get(0)).expect("a number")
}

/// A store of 900 tasks, which are in its tables as they were added.
fn begun(file: &Path, counts: &Counts) -> Store {
    let access = Access { alone: true, ..Access::default() };
    let mut store = Store::open_with(file, "now", access).expect("it opens").store;
    let added = |id| {
        let task = Box::new(task(&format!("t{id}"), &[]));
        Change::Added { id, task, needs: Vec::new(), adopted: false }
    };
    store.commit((1..=900).map(added).collect(), counts).expect("a commit");
    store
}

fn finished(task: TaskId, state: State) -> Change {
    let (failures, blame) = if state == State::Failed { (1, task) } else { (0, 0) };
    Change::Finished { task, state, attempt: 1, failures, reclaims: 0, blame }
}

fn fold(store: &mut Store, changes: impl Iterator<Item = Change>, counts: &Counts) {
    store.commit(changes.collect(), counts).expect("a commit");
    store.settle().expect("it is folded");
}

/// A hub that was killed while all that it had done was in SQLite's log: its tasks are in the tables
/// as they were added, and many of them done since.
fn killed_after_done(dir: &Path) -> PathBuf {
    let file = dir.join("run.db");
    let mut counts = Counts::default();
    let mut store = begun(&file, &counts);
    store.settle().expect("it is folded");
    for (round, first) in [(1, 1), (2, 4)] {
        counts.set(State::Done, round * 150);
        let done = (first..=900).step_by(6).map(|id| finished(id, State::Done));
        fold(&mut store, done, &counts);
    }
    store.note().expect("a note");
    file
}

/// One that was killed while a person's retry of many tasks was in SQLite's log alone.
fn killed_after_retried(dir: &Path) -> PathBuf {
    let file = dir.join("run.db");
    let mut counts = Counts::default();
    let mut store = begun(&file, &counts);
    counts.set(State::Failed, 450);
    fold(&mut store, (1..=900).step_by(2).map(|id| finished(id, State::Failed)), &counts);
    counts.set(State::Failed, 150);
    let again = (1..=900).step_by(6).chain((3..=900).step_by(6));
    fold(&mut store, again.map(|task| Change::Reopened { task }), &counts);
    store.note().expect("a note");
    file
}

/// A task that has not ended, in the table.
const OPEN: State = State::Waiting;

/// As the table says, whatever the index does.
fn in_state(file: &Path, state: State) -> BTreeSet<i64> {
    let db = dhub_checksum::open(file, Default::default(), None).expect("a database");
    let sql = "SELECT id FROM tasks NOT INDEXED WHERE state = ?";
    let mut select = db.prepare(sql).expect("SQL");
    let ids = select.query_map([state as i64], |row| row.get(0)).expect("rows");
    ids.collect::<rusqlite::Result<_>>().expect("rows")
}

/// Damages each frame of SQLite's log in turn, and looks at what is rescued then, if anything is. How
/// many frames there are.
fn each_frame(file: &Path, mut look: impl FnMut(usize, Rescued, &Path)) -> usize {
    let size = fs::metadata(beside(file, "-wal")).expect("the log").len() as usize;
    let frames = size.saturating_sub(32) / FRAME;
    for frame in 0..frames {
        let dir = new_dir();
        let file = copy(file, dir.path());
        let wal = beside(&file, "-wal");
        let mut bytes = fs::read(&wal).expect("the log");
        for at in [1000, 2000] {
            bytes[32 + frame * FRAME + 24 + at] ^= 0x41;
        }
        fs::write(&wal, bytes).expect("the log");
        let to = dir.path().join("saved.db");
        if let Ok(rescued) = rescue(&file, &to, Mode::PRIVATE, "now") {
            look(frame, rescued, &to);
        }
    }
    frames
}

#[test]
fn no_frame_that_cannot_be_read_leaves_an_index_that_says_otherwise_than_its_table() {
    let (dir, sound) = (new_dir(), new_dir());
    let file = killed_after_done(dir.path());
    let expected = in_state(&copy(&file, sound.path()), State::Done);
    assert_eq!(expected.len(), 300);
    let (mut saved, mut told, mut named) = (0, 0, 0);
    let frames = each_frame(&file, |frame, rescued, to| {
        saved += 1;
        told += usize::from(!rescued.is_whole());
        assert_eq!(strays(to), 0, "frame {frame}: {rescued:?}");
        // What is not done any more is named.
        let again = expected.difference(&in_state(to, State::Done)).count();
        let count = again.to_string();
        let is_told =
            |line: &String| line.contains("is run again") && line.split(' ').next() == Some(&count);
        let says = rescued.doubt.iter().any(is_told);
        assert!(again == 0 || says, "frame {frame}: {again} of {rescued:?}");
        named += usize::from(again > 0);
    });
    println!("{saved} of {frames} saved, {told} told, {named} with tasks that are run again");
    assert!(frames > 30 && saved + 3 > frames && told > 3 && named > 3);
}

#[test]
fn no_frame_that_cannot_be_read_loses_a_retry_without_a_name() {
    let (dir, sound) = (new_dir(), new_dir());
    let file = killed_after_retried(dir.path());
    let expected = in_state(&copy(&file, sound.path()), OPEN);
    assert_eq!(expected.len(), 750);
    let mut named = 0;
    let frames = each_frame(&file, |frame, rescued, to| {
        let lost = expected.difference(&in_state(to, OPEN)).count();
        let is_told = |line: &String| {
            line.contains("to run again is not run") && line.starts_with(&format!("{lost} task"))
        };
        let is_named = rescued.doubt.iter().any(is_told) || !rescued.tasks.is_empty();
        assert!(lost == 0 || is_named, "frame {frame}: {lost} of {rescued:?}");
        named += usize::from(rescued.doubt.iter().any(is_told));
    });
    println!("{named} of {frames} frames with retries that are lost");
    assert!(named > 0, "of {frames}");
}
