//! FILE.redo: what a hub that died had committed and not folded yet; and what is not ours, or
//! damaged, is told.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::*;
use dhub::engine::message::*;
use dhub::engine::scheduler::{Counts, State};
use dhub::store::{Access, OpenError, Store};
use tempfile::TempDir;

const PAGE: usize = 4096;
/// The first page and the notes.
const PAGES_BEFORE: usize = 3;
const HEADER: usize = 64;

struct Place {
    _dir: TempDir,
    file: PathBuf,
    redo: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let (file, redo) = (dir.path().join("run.db"), dir.path().join("run.db.redo"));
        Self { _dir: dir, file, redo }
    }

    fn open(&self, access: Access) -> Result<Store, OpenError> {
        Store::open_with(&self.file, "now", access).map(|opened| opened.store)
    }

    /// Nothing is folded but by `settle`, and a region is soon full.
    fn open_alone(&self) -> Store {
        self.open(Access { alone: true, region_bytes: 4 * PAGE as u64, ..Access::default() })
            .expect("the file opens")
    }

    /// What it had and nobody folded is given up.
    fn open_without_redo(&self) -> Store {
        self.open(Access { without_redo: true, ..Access::default() }).expect("the rest is given up")
    }

    fn log(&self) -> Vec<u8> {
        fs::read(&self.redo).expect("the log")
    }

    /// One bit in the record of this turn, which is one page.
    fn damage(&self, turn: usize) {
        let mut bytes = self.log();
        bytes[(PAGES_BEFORE + turn - 1) * PAGE + HEADER + 3] ^= 1;
        fs::write(&self.redo, bytes).expect("the log");
    }

    fn refusal(&self) -> OpenError {
        match self.open(Access::default()) {
            Ok(_) => panic!("{} was opened", self.file.display()),
            Err(error) => error,
        }
    }

    /// A hub commits so many tasks, one a turn, and is killed.
    fn killed_after(&self, tasks: u64) {
        let mut store = self.open(Access { alone: true, ..Access::default() }).expect("it opens");
        add(&mut store, 1..=tasks);
    }
}

fn added(id: TaskId) -> Change {
    let task = Box::new(task(&format!("t{id}"), &[]));
    Change::Added { id, task, needs: Vec::new(), adopted: false }
}

fn add(store: &mut Store, ids: impl Iterator<Item = TaskId>) {
    for id in ids {
        store.commit(vec![added(id)], &Counts::default()).expect("a commit");
    }
}

/// Tasks that a start finds.
fn found(file: &Path) -> u64 {
    let store = Store::open(file, "now", false).expect("the file opens").store;
    let mut count = 0;
    while store.task(&format!("t{}", count + 1)).expect("a look").is_some() {
        count += 1;
    }
    store.close().expect("a clean stop");
    count
}

#[test]
fn what_was_not_folded_is_there_after_a_kill_and_one_file_has_all_after_a_stop() {
    let place = Place::new();
    place.killed_after(5);
    assert!(place.redo.exists());
    assert_eq!(found(&place.file), 5);
    assert!(!place.redo.exists());
    assert_eq!(found(&place.file), 5);
}

/// A log is folded before its file is brought to this version, and by a look at it too.
#[test]
fn a_log_that_version_3_left_is_folded_into_its_file() {
    let place = Place::new();
    let mut store = place.open_alone();
    add(&mut store, 1..=3);
    let (task, state, attempt) = (2, State::Cancelled, 0);
    let (failures, reclaims, blame) = (0, 0, 0);
    let end = Change::Finished { task, state, attempt, failures, reclaims, blame };
    store.commit(vec![end], &Counts::default()).expect("a commit");
    drop(store);
    let db = dhub_checksum::open(&place.file, Default::default(), None).expect("a database");
    db.execute_batch(
        "DROP VIEW task_list; DROP VIEW dependencies; DROP TABLE requests; ALTER TABLE tasks DROP COLUMN held;
         ALTER TABLE tasks DROP COLUMN sum; ALTER TABLE attempts DROP COLUMN left_behind;
         DROP INDEX workers_key; ALTER TABLE workers DROP COLUMN key;
         CREATE UNIQUE INDEX workers_key ON workers (coalesce(client, name));
         PRAGMA user_version = 3",
    )
    .expect("a file of version 3");
    drop(db);
    let store = place.open(Access::default()).expect("the file opens");
    store.upgrade().expect("it is brought to this version");
    let row = store.task("t2").expect("a look").expect("a task");
    assert_eq!(row.finished, Some(State::Cancelled));
    store.close().expect("a clean stop");
    assert_eq!(found(&place.file), 3);
}

#[test]
fn regions_are_written_over_once_they_are_folded() {
    let place = Place::new();
    for (from, to) in [(1, 7), (8, 30), (31, 31)] {
        // Fourteen pages for twenty-two turns: the store folds when both regions are full.
        let mut store = place.open_alone();
        add(&mut store, from..=to);
        drop(store);
        assert!(fs::metadata(&place.redo).expect("the log").len() <= 11 * PAGE as u64);
    }
    assert_eq!(found(&place.file), 31);
}

#[test]
fn a_turn_that_no_region_holds_goes_into_the_tables() {
    let place = Place::new();
    let mut store = place.open_alone();
    add(&mut store, 1..=2);
    store.commit((3..=2_000).map(added).collect(), &Counts::default()).expect("a commit");
    add(&mut store, 2_001..=2_002);
    drop(store);
    assert_eq!(found(&place.file), 2_002);
}

/// It may have been cut off, or damaged later: a start goes on, and says so.
#[test]
fn a_last_record_that_cannot_be_read_is_in_doubt() {
    let place = Place::new();
    place.killed_after(5);
    place.damage(5);
    let opened = Store::open(&place.file, "now", false).expect("the file opens");
    let doubt = opened.doubt.expect("a doubt");
    assert_eq!(doubt.turn, 5);
    assert!(doubt.to_string().contains("turn 5 cannot be read"), "{doubt}");
    opened.store.close().expect("a clean stop");
    assert_eq!(found(&place.file), 4);
}

/// Nothing follows the last record, and a note says that it was safe.
#[test]
fn a_last_record_that_was_noted_is_damage() {
    let place = Place::new();
    let mut store = place.open(Access { alone: true, ..Access::default() }).expect("it opens");
    add(&mut store, 1..=5);
    store.note().expect("a note");
    drop(store);
    place.damage(5);
    let refusal = place.refusal();
    assert!(matches!(refusal, OpenError::RedoDamaged { .. }), "{refusal}");
    let text = refusal.to_string();
    assert!(text.contains("turn 5 is missing or damaged, and turn 5 was noted as safe"), "{text}");
    assert!(text.contains("dhub rescue") && !text.contains("without-redo"), "{text}");
}

/// Some milliseconds after the last commit, and no second time.
#[test]
fn a_hub_with_nothing_to_do_notes_once_what_is_safe() {
    let place = Place::new();
    let mut store = place.open(Access::default()).expect("it opens");
    add(&mut store, 1..=1);
    let notes = || place.log()[PAGE..3 * PAGE].to_vec();
    let noted =
        |notes: &[u8], turn: u64| notes.chunks(PAGE).any(|page| page[8..16] == turn.to_le_bytes());
    assert!(!noted(&notes(), 1));
    // As the loop does it: it waits until there is something to do.
    let (mut last, mut slept) = (notes(), Duration::ZERO);
    while let Some(due) = store.due() {
        std::thread::sleep(due);
        store.fold().expect("a fold");
        if !noted(&last, 1) {
            slept += due;
        }
        last = notes();
    }
    assert!(noted(&last, 1));
    // Not how long it took: the machine may be busy.
    assert!(slept <= Duration::from_millis(21), "it waits for {slept:?}");
    store.fold().expect("nothing to fold");
    assert_eq!((notes() == last, store.due()), (true, None));
    store.close().expect("a clean stop");
}

#[test]
fn damage_before_the_last_turn_is_told() {
    let place = Place::new();
    place.killed_after(5);
    place.damage(3);
    let bytes = place.log();
    let refusal = place.refusal();
    assert!(matches!(refusal, OpenError::RedoDamaged { .. }), "{refusal}");
    assert!(refusal.to_string().contains("turn 3 is missing or damaged, and turn 4 is there"));
    assert_eq!(place.log(), bytes, "it is left as it was");

    let mut store = place.open_without_redo();
    assert!(store.task("t1").expect("a look").is_none());
    add(&mut store, 1..=3);
    drop(store);
    assert_eq!(found(&place.file), 3);
}

/// Else a later start would take them for another file's, or for its own.
#[test]
fn nothing_of_a_log_that_was_given_up_stays_behind_the_new_one() {
    let place = Place::new();
    place.killed_after(100);
    place.damage(3);
    let mut store = place.open_without_redo();
    add(&mut store, 1..=2);
    drop(store);
    assert_eq!(found(&place.file), 2);
}

#[test]
fn a_log_that_is_missing_is_told() {
    let place = Place::new();
    place.killed_after(5);
    fs::rename(&place.redo, place.file.with_file_name("away")).expect("the log");
    let refusal = place.refusal();
    assert!(matches!(refusal, OpenError::RedoMissing { .. }), "{refusal}");
    fs::rename(place.file.with_file_name("away"), &place.redo).expect("the log");
    assert_eq!(found(&place.file), 5);
}

/// An empty file, or any other, would lose what was acknowledged without a word.
#[test]
fn a_file_that_is_no_log_is_told_and_kept() {
    for bytes in [&b""[..], b"junk", &[0; 3 * PAGE]] {
        let place = Place::new();
        place.killed_after(5);
        let log = place.log();
        fs::write(&place.redo, bytes).expect("another file");
        let refusal = place.refusal();
        assert!(matches!(refusal, OpenError::RedoUnreadable { .. }), "{refusal}");
        assert_eq!(place.log(), bytes);
        fs::write(&place.redo, log).expect("the log");
        assert_eq!(found(&place.file), 5);
    }
}

#[test]
fn the_log_of_another_file_is_told_and_kept() {
    let (one, other) = (Place::new(), Place::new());
    one.killed_after(5);
    other.killed_after(3);
    assert_eq!(found(&other.file), 3);
    fs::copy(&one.redo, &other.redo).expect("a copy");
    let refusal = other.refusal();
    assert!(matches!(refusal, OpenError::RedoForeign { .. }), "{refusal}");
    assert!(other.redo.exists());
}

#[test]
fn the_log_of_another_version_is_told_and_kept() {
    let place = Place::new();
    place.killed_after(5);
    let mut bytes = place.log();
    bytes
        .chunks_mut(PAGE)
        .filter(|page| page.starts_with(b"dhubred"))
        .for_each(|page| page[7] = b'1');
    fs::write(&place.redo, bytes).expect("the log");
    let refusal = place.refusal();
    assert!(matches!(refusal, OpenError::RedoVersion { .. }), "{refusal}");
    assert!(refusal.to_string().contains("another version of dhub"), "{refusal}");
    assert!(place.redo.exists());
    // After a clean stop of that version nothing in it is needed.
    let mut store = place.open_without_redo();
    add(&mut store, 6..=6);
    store.close().expect("a clean stop");
    fs::write(&place.redo, b"dhubred1 and whatever else").expect("a log");
    place.open(Access::default()).expect("it opens").close().expect("a clean stop");
}

/// Killed hubs of each version that wrote the log in words of its own, with what their tables did not have yet.
#[test]
fn what_killed_hubs_of_older_versions_left_is_all_there() {
    for version in [5, 6] {
        let place = Place::new();
        let data =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/data/log-{version}"));
        for end in ["", "-wal", ".redo"] {
            let to = place.file.with_file_name(format!("run.db{end}"));
            fs::copy(data.join(format!("run.db{end}")), to).expect("a copy");
        }
        let magic = format!("dhubred{version}");
        assert!(place.log().starts_with(magic.as_bytes()), "version {version}");
        let mut store = place.open(Access::default()).expect("it opens");
        let row = |name: &str| store.task(name).expect("it can be read").expect("it is there");
        let late = row("late-1");
        assert_eq!((late.priority, late.retries, &*late.command), (3, 2, "echo late"));
        assert_eq!(row("nobody").finished, Some(State::Missing));
        assert_eq!(row("a").finished, Some(State::Done));
        assert_eq!(row("d").finished, Some(State::Cancelled));
        assert!(row("e").held);
        // What it says from now on is in words of this version.
        add(&mut store, 100..=100);
        drop(store);
        assert!(place.log().starts_with(b"dhubred6"));
        assert!(
            place.open(Access::default()).expect("it opens").task("t100").expect("a row").is_some()
        );
    }
}
