//! Bits that flip in the files of a killed hub: its own, SQLite's log and the redo log. Each is told, mended, or makes
//! no difference.
//!
//! `FLIPS=1000 cargo test -p dhub --test damage -- --nocapture` makes more of them and prints what became of each;
//! `FLIP_SEED` begins elsewhere.

#[path = "disk/random.rs"]
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dhub::dialect::native::definition;
use dhub::engine::archive::Page;
use dhub::engine::message::*;
use dhub::engine::scheduler::{Counts, State};
use dhub::server::{Options, restore};
use dhub::store::{Access, Opened, Scanned, Store, copy_file};
use dhub_checksum::last_damage;
use dhub_proto::private::Mode;
use random::Random;
use tempfile::TempDir;

/// The files of a hub, by how their names end.
const PARTS: [&str; 3] = ["", "-wal", ".redo"];
const PAGE: usize = 4096;
/// Where a file says how many bytes of each page SQLite leaves to checksums.
const RESERVED_AT: usize = 20;
const TASKS: u64 = 400;
/// Turns that are in the redo log alone.
const UNFOLDED: usize = 3;

type Files = BTreeMap<&'static str, Vec<u8>>;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// SQLite's error does not say which page it is about; the one that this process read last is told.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_task(id: TaskId) -> NewTask {
    let name = format!("task {id}");
    let needs: Vec<Name> =
        id.is_multiple_of(7).then(|| format!("task {}", id - 1).into()).into_iter().collect();
    let details = Details {
        command: Some(format!("simulate --seed {} --out /data/{id}", id * 7).into()),
        time_limit_ms: id % 3 * 1000,
        stdin: id.is_multiple_of(50).then(|| vec![b'x'; 9000].into()),
        ..Details::default()
    };
    let definition = definition(&needs, 0, 1, Some(&details));
    let details = (!id.is_multiple_of(5)).then(|| Box::new(details));
    NewTask { name: name.into(), needs, definition, priority: 0, retries: 1, details }
}

fn added(id: TaskId) -> Change {
    let needs = if id.is_multiple_of(7) { vec![id - 1] } else { Vec::new() };
    Change::Added { id, task: Box::new(new_task(id)), needs, adopted: false }
}

fn ended(id: TaskId) -> [Change; 2] {
    let (how, state) = if id.is_multiple_of(9) {
        (Ended::Failed, State::Failed)
    } else {
        (Ended::Done, State::Done)
    };
    // So much that a turn fills its page of the redo log.
    let output = format!("what task {id} wrote\n").repeat(15);
    let output = Some(output.into_bytes().into_boxed_slice());
    let report = Report { exit_code: 3, reason: Some("so".into()), output, ..Report::default() };
    let ended = Change::Ended { task: id, attempt: 1, worker: 1, how, report };
    let (attempt, failures, reclaims, blame) = (1, 0, 0, id);
    [ended, Change::Finished { task: id, state, attempt, failures, reclaims, blame }]
}

/// The files of a hub that was killed: some turns are in the file, some in SQLite's log, the last few in the redo log.
fn killed(file: &Path) -> Files {
    let all: Vec<u64> = (1..=90).collect();
    let turns: Vec<&[u64]> = all.chunks(9).collect();
    killed_on(file, &turns)
}

/// The same, of a file that may be there already, with turns that end these tasks.
fn killed_on(file: &Path, turns: &[&[u64]]) -> Files {
    let open = || Store::open(file, "today", false).expect("a file").store;
    let mut store = open();
    let worker = Change::Worker { id: 1, who: Who { name: "w".into(), ..Who::default() } };
    let first: Vec<Change> = std::iter::once(worker).chain((1..=TASKS).map(added)).collect();
    store.commit(first, &Counts::default()).expect("a commit");
    store.close().expect("a stop");
    let mut store = open();
    let mut counts = Counts::default();
    for (turn, ids) in turns.iter().enumerate() {
        let changes: Vec<Change> = ids.iter().flat_map(|&id| ended(id)).collect();
        for id in *ids {
            let state = if id.is_multiple_of(9) { State::Failed } else { State::Done };
            counts.set(state, counts.of(state) + 1);
        }
        store.commit(changes, &counts).expect("a commit");
        // All but the last few are folded, and of these the last one is not noted yet.
        if turn + UNFOLDED < turns.len() {
            store.settle().expect("folded");
        }
        if turn + 2 == turns.len() {
            store.note().expect("a note");
        }
    }
    // While it is open: closing it would move its logs into the file.
    let bytes =
        |end: &&'static str| (*end, fs::read(format!("{}{end}", file.display())).expect("a file"));
    PARTS.iter().map(bytes).collect()
}

struct Place {
    dir: TempDir,
}

impl Place {
    fn with(files: &Files) -> Self {
        let dir = TempDir::new().expect("a directory");
        for (end, bytes) in files {
            let path = dir.path().join(format!("run.db{end}"));
            fs::write(&path, bytes).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        Self { dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("run.db")
    }

    /// What `dhub check` says; empty: that it is sound, and nothing is in doubt.
    fn check(&self) -> Vec<String> {
        let scanned = match Scanned::of(&self.file(), "today") {
            Ok(scanned) => scanned,
            Err(error) => return vec![error.to_string()],
        };
        match Store::open(&self.file(), "today", false) {
            Err(error) => vec![error.to_string()],
            Ok(opened) => {
                let mut problems = scanned.problems(Some(&opened.store));
                match opened.store.check() {
                    Ok(more) => problems.extend(more),
                    Err(error) => problems.push(error.to_string()),
                }
                problems.extend(opened.doubt.map(|doubt| doubt.to_string()));
                problems
            }
        }
    }

    /// All that a hub that starts on it tells of its tasks, and whether it says that some are in doubt; or why it does not
    /// start.
    fn run(&self) -> Result<(String, bool), String> {
        let access = Access { mends: true, ..Access::default() };
        let opened = Store::open_with(&self.file(), "today", access);
        let Opened { mut store, doubt, .. } = opened.map_err(|error| error.to_string())?;
        let mut all = || -> Result<String, dhub::store::StoreError> {
            let scheduler = restore(&store, &Options::default())?;
            store.upgrade()?;
            store.add_checksums(&Arc::default())?;
            let mut text = format!("{:?}\n", scheduler.counts());
            let mut after = 0;
            loop {
                let page = store.page(Page::Any, after, 100)?;
                let Some(last) = page.last() else { return Ok(text) };
                after = last.id;
                for row in page {
                    let (attempts, details) = (store.attempts(row.id, 9)?, store.details(row.id)?);
                    let past = store.look_up(&row.name)?;
                    text += &format!("{row:?}\n  {details:?}\n  {attempts:?}\n  {past:?}\n");
                }
            }
        };
        all().map(|text| (text, doubt.is_some())).map_err(|error| error.to_string())
    }
}

/// What became of flips in one file.
#[derive(Default)]
struct Tally {
    told: u32,
    mended: u32,
    harmless: u32,
    silent: Vec<String>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, text: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { told, mended, harmless, silent } = self;
        let flips = told + mended + harmless + silent.len() as u32;
        write!(text, "{flips} flips: {told} told, {mended} mended, {harmless} harmless, ")?;
        write!(text, "{} SILENT", silent.len())
    }
}

/// The bytes that were ever written: a redo log is longer than what is in it.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// The pages that SQLite's log has, so that those of the file are never read.
fn logged(log: &[u8]) -> BTreeSet<usize> {
    let frames = log.get(32..).unwrap_or_default().chunks_exact(24 + PAGE);
    let number = |frame: &[u8]| u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
    frames.map(|frame| number(frame) as usize).collect()
}

/// One bit of one file, and what a look and a start make of it.
fn flip(files: &Files, part: &'static str, bit: usize, sound: &str, tally: &mut Tally) {
    let mut files = files.clone();
    files.get_mut(part).expect("a file")[bit / 8] ^= 1 << (bit % 8);
    let problems = Place::with(&files).check();
    let is_told = !problems.is_empty();
    match Place::with(&files).run() {
        // The start says so, or it does not come to that.
        Err(_) | Ok((_, true)) if is_told => tally.told += 1,
        Err(_) | Ok((_, true)) => {
            tally.silent.push(format!("run.db{part}, bit {bit}: only a start tells of it"));
        }
        Ok((found, false)) if found != sound => {
            tally
                .silent
                .push(format!("run.db{part}, bit {bit}: runs with other tasks; {problems:?}"));
        }
        Ok(_) if is_told => tally.mended += 1,
        Ok(_) => tally.harmless += 1,
    }
    let page = bit / 8 / PAGE + 1;
    if part.is_empty() && !is_told && !logged(&files["-wal"]).contains(&page) {
        tally
            .silent
            .push(format!("run.db, bit {bit}: wrong, and dhub check says that it is sound"));
    }
}

#[test]
fn no_flip_goes_by_in_silence() {
    let _alone = alone();
    let home = TempDir::new().expect("a directory");
    let files = killed(&home.path().join("run.db"));
    assert_eq!(Place::with(&files).check(), [""; 0]);
    let (sound, _) = Place::with(&files).run().expect("a hub that starts");
    for (n, part) in PARTS.into_iter().enumerate() {
        let mut random = Random::new(number("FLIP_SEED", 0) + n as u64);
        let mut tally = Tally::default();
        let bits = used(&files[part]) as u64 * 8;
        for _ in 0..number("FLIPS", 150) {
            flip(&files, part, random.below(bits) as usize, &sound, &mut tally);
        }
        println!("run.db{part}: {tally}");
        assert!(tally.silent.is_empty(), "{:#?}", tally.silent);
        assert!(tally.told + tally.mended > 0);
    }
}

/// The power went while SQLite's log was moved into the file: the log still has the whole pages.
#[test]
fn a_page_that_was_cut_off_on_its_way_from_the_log_is_no_damage() {
    let _alone = alone();
    let home = TempDir::new().expect("a directory");
    let files = killed(&home.path().join("run.db"));
    let (sound, _) = Place::with(&files).run().expect("a hub that starts");
    let pages = logged(&files["-wal"]);
    assert!(pages.contains(&1) && pages.len() > 3, "{pages:?}");
    for page in pages {
        let mut files = files.clone();
        let file = files.get_mut("").expect("a file");
        let Some(page) = file.chunks_exact_mut(PAGE).nth(page - 1) else { continue };
        page[..PAGE / 2].fill(0xa5);
        assert_eq!(Place::with(&files).check(), [""; 0]);
        assert_eq!(Place::with(&files).run(), Ok((sound.clone(), false)));
    }
}

/// The start folds what the hub that was killed had committed last.
#[test]
fn a_turn_that_meets_a_damaged_page_is_folded_but_for_its_rows() {
    let _alone = alone();
    let home = TempDir::new().expect("a directory");
    let mut files = killed_on(&home.path().join("run.db"), &[&[10, 303]]);
    assert!(logged(&files["-wal"]).len() < 3, "the page is in the file alone");
    let bytes = files.get_mut("").expect("a file");
    let (from, to) = (b"--out /data/303", b"--OUT /DATA/404");
    let found = bytes.windows(from.len()).position(|it| it == from).expect("the row");
    bytes[found..found + to.len()].copy_from_slice(to);
    let page = found / PAGE + 1;
    let damaged = Place::with(&files);
    let problems = damaged.check();
    assert!(problems[0].contains(&format!("page {page} is damaged")), "{problems:?}");
    let (text, _) = Place::with(&files).run().expect("a hub that starts");
    let row = |name: &str| text.lines().find(|line| line.contains(name)).expect("a row").to_owned();
    assert!(row("\"task 10\"").contains("finished: Some(Done)"), "{text}");
    assert!(row("\"task 303\"").contains("its definition is damaged"), "{text}");
    assert!(row("\"task 400\"").contains("finished: None"), "{text}");
}

/// Whatever comes of it: the hub goes on, or it says which page of which file keeps it from that.
#[test]
fn a_page_that_nobody_can_do_without_is_named() {
    let _alone = alone();
    let home = TempDir::new().expect("a directory");
    let files = killed(&home.path().join("run.db"));
    let pages = files[""].len() / PAGE;
    let mut refused = 0;
    for page in (1..=pages).filter(|page| !logged(&files["-wal"]).contains(page)) {
        let mut files = files.clone();
        files.get_mut("").expect("a file")[(page - 1) * PAGE..][..PAGE].fill(0xa5);
        let place = Place::with(&files);
        if let Err(said) = place.run() {
            assert!(said.contains(&format!("page {page} of ")), "page {page}: {said}");
            assert!(said.contains("run.db is damaged") && !said.contains(".redo"), "{said}");
            refused += 1;
        }
    }
    assert!(refused > 0);
}

/// As if a disk had given back a sector that it remapped.
#[test]
fn no_page_of_zeros_goes_by_in_silence() {
    let _alone = alone();
    let home = TempDir::new().expect("a directory");
    let file = home.path().join("run.db");
    killed(&file);
    // A clean stop leaves one file, so that each page counts.
    Store::open(&file, "today", false).expect("a file").store.close().expect("a stop");
    let files = Files::from([("", fs::read(&file).expect("the file"))]);
    let (sound, _) = Place::with(&files).run().expect("a hub that starts");
    let unused = unused_pages(&file);
    let mut refused = 0;
    for page in 2..=files[""].len() / PAGE {
        let mut files = files.clone();
        files.get_mut("").expect("a file")[(page - 1) * PAGE..][..PAGE].fill(0);
        let problems = Place::with(&files).check();
        let is_told = problems.iter().any(|it| it.contains(&format!("page {page}")));
        assert!(is_told || unused.contains(&page), "page {page}: {problems:?}");
        let place = Place::with(&files);
        let named = format!("page {page} of {}", place.file().display());
        let said = match place.run() {
            Ok((all, _)) if all == sound => named.clone(),
            Ok(_) => last_damage().map(|it| it.to_string()).unwrap_or_default(),
            Err(said) => said,
        };
        assert!(said.contains(&named), "page {page}: {said}");
        // Nor is it copied as if it were what was written.
        let Ok(opened) = Store::open(&place.file(), "today", false) else { continue };
        let to = place.dir.path().join("copy.db");
        match copy_file(&opened.store, &to, Mode::PRIVATE) {
            Ok(_) => assert!(unused.contains(&page), "page {page} is copied"),
            Err(error) => {
                assert!(error.to_string().contains(&named), "page {page}: {error}");
                assert!(!to.exists());
                refused += 1;
            }
        }
    }
    assert!(refused > 5);
}

/// Those of no table and no index.
fn unused_pages(file: &Path) -> BTreeSet<usize> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(file, flags).expect("a database");
    let mut select = db.prepare("SELECT pageno FROM dbstat").expect("a walk");
    let used = select.query_map([], |row| row.get::<_, u32>(0)).expect("pages");
    let used: BTreeSet<_> = used.collect::<rusqlite::Result<_>>().expect("pages");
    let count: u32 = db.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pages");
    (1..=count).filter(|page| !used.contains(page)).map(|page| page as usize).collect()
}

/// As hubs made them before there were checksums.
#[test]
fn an_old_file_with_its_logs_gets_checksums_and_loses_nothing() {
    let _alone = alone();
    let home = TempDir::new().expect("a directory");
    let file = home.path().join("run.db");
    let db = rusqlite::Connection::open(&file).expect("a database");
    db.pragma_update(None, "journal_mode", "wal").expect("a file");
    drop(db);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let files = killed(&file);
    assert_eq!(files[""][RESERVED_AT], 0);
    let old = Place::with(&files);
    assert_eq!(old.check(), [""; 0]);
    assert_eq!(fs::read(old.file()).expect("the file")[RESERVED_AT], 0, "a look adds none");

    let place = Place::with(&files);
    let (all, _) = place.run().expect("a hub that starts");
    assert_eq!(all.matches("TaskRow").count(), TASKS as usize);
    assert_eq!(fs::read(place.file()).expect("the file")[RESERVED_AT], 8);
    // The hub died just after the file was replaced.
    let log = fs::metadata(place.dir.path().join("run.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "a log of the old file beside the new one");
    assert_eq!(place.run(), Ok((all, false)));
    assert_eq!(place.check(), [""; 0]);
}

/// As when a page of the index alone is brought back: each row is in it that is to be, and others too.
#[test]
fn rows_that_a_partial_index_has_too_many_are_found() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("run.db");
    let mut store = Store::open(&file, "now", false).expect("it opens").store;
    store.commit((1..=9).map(added).collect(), &Counts::default()).expect("a commit");
    store.close().expect("a clean stop");
    let open = || dhub_checksum::open(&file, Default::default(), None).expect("a database");
    let db = open();
    let hide = "PRAGMA writable_schema = ON; CREATE TABLE hidden AS
        SELECT * FROM sqlite_schema WHERE name IN ('tasks_undone', 'tasks_skipped');
        DELETE FROM sqlite_schema WHERE name IN ('tasks_undone', 'tasks_skipped')";
    db.execute_batch(hide).expect("no indices");
    drop(db);
    let db = open();
    let change = "UPDATE tasks SET state = 5 WHERE id IN (3, 4);
        UPDATE totals SET count = 2 WHERE state = 5;
        PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM hidden;
        DELETE FROM hidden";
    db.execute_batch(change).expect("rows");
    drop(db);
    let opened = Store::open(&file, "now", false).expect("it opens");
    let found = opened.store.check().expect("a look");
    assert_eq!(found, ["2 tasks are otherwise in the index of those that are not done"]);
}
